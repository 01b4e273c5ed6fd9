"""How far a student is from its teacher on held-out problems, two ways, before and after.

Legend: T response tokens of one response; V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.jobs.seeds import derive_seed
from worker.rollouts.engine import RolloutRequest, SamplingParams
from worker.rollouts.prompts import Prompt
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import eos_token_ids, pad_token_id

CPU = torch.device("cpu")
MAX_RESPONSE_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt and what was sampled after it, as token ids."""

    prompt: tuple[int, ...]
    response: tuple[int, ...]


def sampled_texts(
    model: PreTrainedModel,
    tokenizer: object,
    prompts: Sequence[Prompt],
    *,
    temperature: float = 1.0,
    max_response_tokens: int = MAX_RESPONSE_TOKENS,
) -> list[Text]:
    """One response to each prompt, the same whenever it is the same model."""
    engine = TransformersEngine(
        model,
        eos_token_ids=eos_token_ids(model, tokenizer),
        pad_token_id=pad_token_id(tokenizer),
        device=CPU,
        max_batch_size=64,
    )
    requests = [
        RolloutRequest(prompt.token_ids, (derive_seed("real-model", index),))
        for index, prompt in enumerate(prompts)
    ]
    sampling = SamplingParams(
        temperature=temperature, top_p=1.0, max_response_tokens=max_response_tokens
    )
    answers = engine.generate(requests, sampling=sampling)
    return [
        Text(request.prompt_token_ids, tuple(responses[0].token_ids))
        for request, responses in zip(requests, answers, strict=True)
    ]


def perplexity(model: PreTrainedModel, texts: Sequence[Text]) -> float:
    """e to the mean of −log p over all response tokens of the texts."""
    sum_nats, num_tokens = 0.0, 0
    for text in texts:
        log_probs_TV = _log_probs(model, text)
        taken_T = log_probs_TV.gather(1, torch.tensor(text.response)[:, None])
        sum_nats -= float(taken_T.sum())
        num_tokens += len(text.response)
    return math.exp(sum_nats / num_tokens)


def reverse_kl(student: PreTrainedModel, teacher: PreTrainedModel, texts: Sequence[Text]) -> float:
    """KL(student ‖ teacher) over the whole vocabulary, nats a token, on texts that the student wrote."""
    sum_nats, num_tokens = 0.0, 0
    for text in texts:
        student_TV, teacher_TV = _log_probs(student, text), _log_probs(teacher, text)
        sum_nats += float((student_TV.exp() * (student_TV - teacher_TV)).sum())
        num_tokens += len(text.response)
    return sum_nats / num_tokens


@torch.inference_mode()
def _log_probs(model: PreTrainedModel, text: Text) -> Tensor:
    """Of every token at each place of the response [T, V]."""
    num_tokens = len(text.response)
    token_ids = torch.tensor([[*text.prompt, *text.response[:-1]]])
    logits_TV = model(token_ids, logits_to_keep=num_tokens, use_cache=False).logits[0]
    return logits_TV.float().log_softmax(dim=-1)
