"""How long a job may take on a GPU that nobody has measured: between two assumed ones.

Two limits are reckoned apart: matrix products of scoring and updates, by a share of the device's peak, and
decoding, each round of which reads the weights and all keys and values once, by a share of its bandwidth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.plans import JobWork, StepWork, TimeRange
from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture
from service.preflight.tensor_sizes import cache_bytes
from service.preflight.work import num_reverse_kl_responses

HALF_BYTES = 2


@dataclass(frozen=True, slots=True)
class AssumedGpu:
    """What of its data sheet it is assumed to reach, and on what lengths.

    round_overhead_s: of one token of every sequence, besides reading memory.
    """

    name: str
    flops_per_second: float
    share_of_peak: float
    bytes_per_second: float
    share_of_bandwidth: float
    round_overhead_s: float
    share_of_length: float


FASTEST = AssumedGpu(
    name="an H100 (990 TFLOP/s, 3.3 TB/s)",
    flops_per_second=990e12,
    share_of_peak=0.5,
    bytes_per_second=3.35e12,
    share_of_bandwidth=0.6,
    round_overhead_s=0.002,
    share_of_length=0.25,
)
SLOWEST = AssumedGpu(
    name="an A10 (125 TFLOP/s, 0.6 TB/s)",
    flops_per_second=125e12,
    share_of_peak=0.2,
    bytes_per_second=0.6e12,
    share_of_bandwidth=0.4,
    round_overhead_s=0.03,
    share_of_length=1.0,
)


def time_range(
    spec: JobSpec,
    step: StepWork,
    job: JobWork,
    *,
    student: Architecture | None,
    num_benchmark_problems: Sequence[int],
) -> TimeRange | None:
    """None for a job that asks for a CPU, and where the FLOPs are not known."""
    if spec.compute.device == "cpu" or student is None or job.training.flops is None:
        return None
    products = _product_flops(spec, step)
    if products is None:
        return None
    low, high = (
        products * gpu.share_of_length / (gpu.flops_per_second * gpu.share_of_peak)
        + _decoding_seconds(spec, student, num_benchmark_problems, gpu)
        for gpu in (FASTEST, SLOWEST)
    )
    num_gpus = spec.resources.gpus
    return TimeRange(
        low_seconds=low / num_gpus,
        high_seconds=high / num_gpus,
        assumption=(
            f"nothing was measured; assumed {num_gpus} GPU{'s' if num_gpus > 1 else ''}, from {FASTEST.name} at "
            f"{FASTEST.share_of_peak:.0%} of its peak in scoring and updates and {FASTEST.share_of_bandwidth:.0%} of "
            f"its bandwidth in decoding, with responses at a quarter of their limit, to {SLOWEST.name} at "
            f"{SLOWEST.share_of_peak:.0%} and {SLOWEST.share_of_bandwidth:.0%}, every response at its limit; loading, "
            "downloads, grading and checkpoints are left out"
        ),
    )


def _product_flops(spec: JobSpec, step: StepWork) -> int | None:
    """Of scoring and updates of all steps."""
    works = (step.teacher_scoring, step.student_scoring, step.updates)
    flops = [0 if spec.teacher.endpoint and work is works[0] else work.flops for work in works]
    known = [each for each in flops if each is not None]
    return spec.steps * sum(known) if len(known) == len(flops) else None


def _decoding_seconds(
    spec: JobSpec, student: Architecture, num_benchmark_problems: Sequence[int], gpu: AssumedGpu
) -> float:
    """Of all rollouts, and of the student evaluated and measured before and after."""
    rollout, evaluation = spec.rollout, spec.evaluation
    num_responses = rollout.prompts_per_step * rollout.samples_per_prompt
    num_samples = sum(
        num_problems * evaluation.samples_of(benchmark)
        for benchmark, num_problems in zip(
            evaluation.benchmarks, num_benchmark_problems, strict=True
        )
    )
    num_measured = sum(num_reverse_kl_responses(spec, num_benchmark_problems))
    of_step, of_evaluation, of_reverse_kl = (
        _seconds_of_batches(
            spec,
            student,
            gpu,
            num_sequences=num_sequences,
            num_tokens=gpu.share_of_length * num_tokens,
        )
        for num_sequences, num_tokens in (
            (num_responses, rollout.max_response_tokens),
            (num_samples, evaluation.max_response_tokens),
            (num_measured, rollout.max_response_tokens),
        )
    )
    return spec.steps * of_step + 2 * (of_evaluation + of_reverse_kl)


def _seconds_of_batches(
    spec: JobSpec,
    student: Architecture,
    gpu: AssumedGpu,
    *,
    num_sequences: int,
    num_tokens: float,
) -> float:
    num_full, num_rest = divmod(num_sequences, spec.compute.rollout_batch_size)
    of_full, of_rest = (
        _seconds_of_batch(spec, student, gpu, num_sequences=each, num_tokens=num_tokens)
        for each in (spec.compute.rollout_batch_size, num_rest)
    )
    return num_full * of_full + (of_rest if num_rest else 0.0)


def _seconds_of_batch(
    spec: JobSpec,
    student: Architecture,
    gpu: AssumedGpu,
    *,
    num_sequences: int,
    num_tokens: float,
) -> float:
    # On the way a sequence is half as long as in the end.
    cache = cache_bytes(
        student,
        num_sequences=num_sequences,
        num_positions=spec.rollout.max_prompt_tokens + int(num_tokens / 2),
        element_bytes=HALF_BYTES,
    )
    num_bytes = student.parameter_counts().total * HALF_BYTES + cache
    round_s = gpu.round_overhead_s + num_bytes / (gpu.bytes_per_second * gpu.share_of_bandwidth)
    return num_tokens * round_s
