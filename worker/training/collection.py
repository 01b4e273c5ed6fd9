"""The rollouts of a step: which prompts, which seeds, and what they cost."""

import time
from collections.abc import Sequence

import torch

from service.jobs.catalog import Metric
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from worker.rollouts.engine import (
    FinishReason,
    Response,
    RolloutEngine,
    RolloutRequest,
    SamplingParams,
)
from worker.rollouts.prompts import Prompt
from worker.training.batching import Rollout

StepMetrics = dict[Metric, float]


def collect_rollouts(
    prompts: Sequence[Prompt], *, spec: JobSpec, step: int, engine: RolloutEngine
) -> tuple[list[Rollout], StepMetrics]:
    """The engine's responses to the step's prompts, in order of prompt and sample.

    step: rollout batches finished before this one. Everything is a function of the spec and the step,
    so that a step that was cut off can be repeated.
    """
    sync_metrics = engine.synchronize()
    started = time.perf_counter()
    requests = [
        RolloutRequest(prompt_token_ids=prompt.token_ids, seeds=_sample_seeds(spec, step, place))
        for place, prompt in enumerate(prompts_of_step(prompts, spec=spec, step=step))
    ]
    rollouts = sampled_rollouts(requests, sampling=training_sampling(spec), engine=engine)
    seconds = time.perf_counter() - started
    metrics = rollout_metrics([each.response for each in rollouts], seconds=seconds)
    return rollouts, {**metrics, **sync_metrics}


def training_sampling(spec: JobSpec) -> SamplingParams:
    """As the batches that are trained on are sampled."""
    return SamplingParams(
        temperature=spec.rollout.temperature,
        top_p=spec.rollout.top_p,
        max_response_tokens=spec.rollout.max_response_tokens,
    )


def sampled_rollouts(
    requests: Sequence[RolloutRequest], *, sampling: SamplingParams, engine: RolloutEngine
) -> list[Rollout]:
    """In order of request and sample."""
    responses = engine.generate(requests, sampling=sampling)
    return [
        Rollout(request.prompt_token_ids, response)
        for request, samples in zip(requests, responses, strict=True)
        for response in samples
    ]


def fresh_rollouts(
    requests: Sequence[RolloutRequest], *, spec: JobSpec, engine: RolloutEngine
) -> list[Rollout]:
    """Responses of the policy itself, at temperature 1 and top-p 1, which train nothing."""
    sampling = SamplingParams(
        temperature=1.0, top_p=1.0, max_response_tokens=spec.rollout.max_response_tokens
    )
    return sampled_rollouts(requests, sampling=sampling, engine=engine)


def prompts_of_step(prompts: Sequence[Prompt], *, spec: JobSpec, step: int) -> list[Prompt]:
    """The next prompts of an endless reading, each epoch in an order of its own."""
    first = step * spec.rollout.prompts_per_step
    orders: dict[int, list[int]] = {}
    chosen = []
    for cursor in range(first, first + spec.rollout.prompts_per_step):
        epoch, place = divmod(cursor, len(prompts))
        if epoch not in orders:
            orders[epoch] = shuffled_indices(
                len(prompts), seed=derive_seed("prompt-order", spec.seed, epoch)
            )
        chosen.append(prompts[orders[epoch][place]])
    return chosen


def deal_into_minibatches(
    rollouts: Sequence[Rollout], *, spec: JobSpec, step: int
) -> list[list[Rollout]]:
    """The step's responses dealt at random into `reuse.minibatches`, the same over all epochs."""
    order = shuffled_indices(len(rollouts), seed=derive_seed("minibatches", spec.seed, step))
    return [
        [rollouts[index] for index in sorted(order[first :: spec.reuse.minibatches])]
        for first in range(spec.reuse.minibatches)
    ]


def rollout_metrics(responses: Sequence[Response], *, seconds: float) -> StepMetrics:
    """Size and time of a step's rollouts."""
    num_tokens = sum(len(response.token_ids) for response in responses)
    num_truncated = sum(response.finish_reason is FinishReason.LENGTH for response in responses)
    return {
        Metric.ROLLOUT_SECONDS: seconds,
        Metric.ROLLOUT_RESPONSE_TOKENS: float(num_tokens),
        Metric.ROLLOUT_MEAN_LENGTH: num_tokens / len(responses),
        Metric.ROLLOUT_FRACTION_TRUNCATED: num_truncated / len(responses),
    }


def shuffled_indices(count: int, *, seed: int) -> list[int]:
    """0 … count − 1 in the order of the seed."""
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


def _sample_seeds(spec: JobSpec, step: int, place: int) -> tuple[int, ...]:
    return tuple(
        derive_seed("rollout", spec.seed, step, place, sample)
        for sample in range(spec.rollout.samples_per_prompt)
    )
