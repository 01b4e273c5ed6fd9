"""Tokens and FLOPs of forward passes over batches of equal sequences.

A matrix product costs 2 FLOPs a weight and token. Causal attention over a context of c positions costs
4·c FLOPs a token, layer and query element.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.evaluation_spec import EvaluationSpec
from service.jobs.plans import Work
from service.preflight.architecture import Architecture


@dataclass(frozen=True, slots=True)
class Batch:
    """Sequences of equal length; a prompt is computed once for every `num_prompts`."""

    num_prompts: int
    num_responses: int
    prompt_tokens: int
    response_tokens: int

    @property
    def num_response_tokens(self) -> int:
        return self.num_responses * self.response_tokens

    @property
    def num_tokens(self) -> int:
        return self.num_prompts * self.prompt_tokens + self.num_response_tokens

    @property
    def num_contexts(self) -> int:
        """Σ over the tokens of the positions that each attends to."""
        prompt, whole = self.prompt_tokens, self.prompt_tokens + self.response_tokens
        of_prompt = prompt * (prompt + 1) // 2
        of_response = whole * (whole + 1) // 2 - of_prompt
        return self.num_prompts * of_prompt + self.num_responses * of_response


def forward(batch: Batch, model: Architecture | None, *, num_adapter_parameters: int = 0) -> Work:
    if model is None:
        return Work(tokens=batch.num_tokens, flops=None)
    head = 2 * batch.num_response_tokens * model.num_head_weights
    adapters = 2 * batch.num_tokens * num_adapter_parameters
    flops = weight_flops(batch, model) + attention_flops(batch, model) + head + adapters
    return Work(tokens=batch.num_tokens, flops=flops)


def evaluation_work(
    evaluation: EvaluationSpec,
    num_benchmark_problems: Sequence[int],
    model: Architecture | None,
    *,
    max_prompt_tokens: int,
    num_adapter_parameters: int = 0,
) -> Work:
    """One model on all benchmarks, once."""
    return total(
        [
            forward(
                Batch(
                    num_prompts=num_problems,
                    num_responses=num_problems * evaluation.samples_of(benchmark),
                    prompt_tokens=max_prompt_tokens,
                    response_tokens=evaluation.max_response_tokens,
                ),
                model,
                num_adapter_parameters=num_adapter_parameters,
            )
            for benchmark, num_problems in zip(
                evaluation.benchmarks, num_benchmark_problems, strict=True
            )
        ]
    )


def weight_flops(batch: Batch, model: Architecture) -> int:
    """Of the body, forward; the embedding is looked up, not multiplied."""
    return 2 * model.parameter_counts().body * batch.num_tokens


def attention_flops(batch: Batch, model: Architecture) -> int:
    return 4 * batch.num_contexts * model.num_layers * model.query_size


def total(works: Sequence[Work]) -> Work:
    flops = [work.flops for work in works]
    known = [one for one in flops if one is not None]
    return Work(
        tokens=sum(work.tokens for work in works),
        flops=sum(known) if len(known) == len(flops) else None,
    )


def times(work: Work, factor: int) -> Work:
    return share(work, factor, 1)


def share(work: Work, numerator: int, denominator: int) -> Work:
    flops = None if work.flops is None else work.flops * numerator // denominator
    return Work(tokens=work.tokens * numerator // denominator, flops=flops)
