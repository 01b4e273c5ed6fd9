"""Model FLOPs of what was computed: counted from a model's shapes and the true lengths of its sequences.

A matrix product costs 2 FLOPs a weight and token forward and twice that backward; causal attention over a
context of c positions 4·c a token, layer and query element. Padding, and what is computed a second time
(checkpointed layers, gates found beforehand), is not counted: it is the price of a way to compute, not work.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel

from service.jobs.loss_spec import Objective, TeacherTopKObjective

FORWARD = 2
BACKWARD_OF_INPUTS = BACKWARD_OF_WEIGHTS = 2
ATTENTION_FORWARD = 4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a token costs in a decoder.

    num_body_weights: of the layers and norms, adapters included. attention_size: layers × query heads × head width.
    """

    num_body_weights: int
    num_trained_body_weights: int
    num_head_weights: int
    hidden_size: int
    attention_size: int
    is_head_trained: bool


@dataclass(frozen=True, slots=True)
class Sequences:
    """Tokens that went through a model, and Σ over them of the positions that each attends to."""

    num_tokens: int = 0
    num_contexts: int = 0

    def __add__(self, other: "Sequences") -> "Sequences":
        return Sequences(self.num_tokens + other.num_tokens, self.num_contexts + other.num_contexts)


def model_shape(model: PreTrainedModel) -> ModelShape:
    """Of a decoder of any family; a parameter that is spread over processes counts whole."""
    config = model.config.get_text_config()
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    looked_up = {id(parameter) for parameter in embedding.parameters()}
    body = [each for each in model.get_decoder().parameters() if id(each) not in looked_up]
    head_width = getattr(config, "head_dim", None) or (
        config.hidden_size // config.num_attention_heads
    )
    return ModelShape(
        num_body_weights=sum(each.numel() for each in body),
        num_trained_body_weights=sum(each.numel() for each in body if each.requires_grad),
        num_head_weights=head.weight.numel(),
        hidden_size=config.hidden_size,
        attention_size=config.num_hidden_layers * config.num_attention_heads * head_width,
        is_head_trained=head.weight.requires_grad,
    )


def whole_sequences(lengths: Iterable[int]) -> Sequences:
    """Each computed from its first token on."""
    return sum((continued(0, length) for length in lengths), Sequences())


def continued(num_before: int, num_tokens: int) -> Sequences:
    """Tokens behind others whose keys and values are there already."""
    end = num_before + num_tokens
    return Sequences(num_tokens, (end * (end + 1) - num_before * (num_before + 1)) // 2)


def forward_flops(shape: ModelShape, sequences: Sequences, *, num_head_tokens: int) -> float:
    """Of one forward pass whose logits are wanted for some of the tokens."""
    return float(
        FORWARD * shape.num_body_weights * sequences.num_tokens
        + FORWARD * shape.num_head_weights * num_head_tokens
        + ATTENTION_FORWARD * shape.attention_size * sequences.num_contexts
    )


def update_flops(
    shape: ModelShape,
    sequences: Sequences,
    *,
    objective: Objective,
    num_loss_tokens: int,
    num_observed_tokens: int,
) -> float:
    """Of forward and backward over a minibatch; of frozen weights there is no gradient.

    num_loss_tokens: valid response tokens. num_observed_tokens: those whose log-prob was looked at, which the
    top-K objective needs a pass over the head for.
    """
    frozen, trained = FORWARD + BACKWARD_OF_INPUTS, FORWARD + BACKWARD_OF_INPUTS
    trained += BACKWARD_OF_WEIGHTS
    num_frozen = shape.num_body_weights - shape.num_trained_body_weights
    of_weights = frozen * num_frozen + trained * shape.num_trained_body_weights
    of_head_weight = trained if shape.is_head_trained else frozen
    if isinstance(objective, TeacherTopKObjective):
        of_head = of_head_weight * objective.k * shape.hidden_size * num_loss_tokens
        of_head += FORWARD * shape.num_head_weights * num_observed_tokens
    else:
        of_head = of_head_weight * shape.num_head_weights * num_loss_tokens
    of_attention = 3 * ATTENTION_FORWARD * shape.attention_size * sequences.num_contexts
    return float(of_weights * sequences.num_tokens + of_head + of_attention)


def sampled_sequences(prompts_and_responses: Sequence[tuple[object, int, int]]) -> Sequences:
    """Of (prompt, its tokens, tokens of a response): a prompt is computed once for all its responses."""
    prompts = {prompt: length for prompt, length, _ in prompts_and_responses}
    responses = (continued(before, new) for _, before, new in prompts_and_responses)
    return whole_sequences(prompts.values()) + sum(responses, Sequences())
