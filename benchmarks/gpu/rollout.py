"""Rollouts by the transformers engine: tokens a second, and whether they repeat."""

import torch

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.rows import Row, row
from benchmarks.gpu.shapes import Shape
from worker.rollouts.engine import Response, RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.model_flops import forward_flops, model_shape, sampled_sequences


def rollout_rows(shape: Shape, machine: Machine) -> list[Row]:
    model = shape.model(device=machine.device, dtype=machine.dtype)
    engine = TransformersEngine(
        model,
        eos_token_ids=frozenset({1}),
        pad_token_id=0,
        device=machine.device,
        max_batch_size=shape.rollout_prompts * shape.samples_per_prompt,
    )
    requests = _requests(shape)
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=shape.rollout_tokens)

    def sampled() -> list[list[Response]]:
        return engine.generate(requests, sampling=sampling)

    responses = sampled()
    are_equal = responses == sampled()
    lengths = [
        (place, shape.prompt_tokens, len(response.token_ids))
        for place, of_prompt in enumerate(responses)
        for response in of_prompt
    ]
    num_tokens = sum(num_response for _, _, num_response in lengths)
    flops = forward_flops(
        model_shape(model), sampled_sequences(lengths), num_head_tokens=num_tokens
    )
    seconds = machine.median_seconds(sampled)
    prefix = f"rollout.{shape.name}"
    rows = [
        row(f"{prefix}.rate", num_tokens / seconds, "tokens/s"),
        row(f"{prefix}.sequences", float(len(lengths)), "side by side"),
        row(f"{prefix}.mfu", flops / seconds / machine.peak_flops_per_second, "1"),
        row(
            f"{prefix}.same_seeds_give",
            "the same tokens" if are_equal else "OTHER TOKENS",
            "result",
        ),
    ]
    peak = machine.peak_bytes(sampled)
    if peak is not None:
        rows.append(row(f"{prefix}.peak_memory", peak / 2**20, "MiB"))
    machine.forget()
    return rows


def _requests(shape: Shape) -> list[RolloutRequest]:
    generator = torch.Generator().manual_seed(0)
    prompts_PS = torch.randint(
        2, shape.vocabulary_size, (shape.rollout_prompts, shape.prompt_tokens), generator=generator
    )
    size = shape.samples_per_prompt
    return [
        RolloutRequest(tuple(prompt.tolist()), tuple(range(place * size, (place + 1) * size)))
        for place, prompt in enumerate(prompts_PS)
    ]
