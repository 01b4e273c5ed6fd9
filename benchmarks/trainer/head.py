"""The loss head: time and memory against full logits, bare products, TRL and Liger."""

from collections.abc import Callable, Mapping

from benchmarks.trainer.agreement import check_same_gradients
from benchmarks.trainer.cpu_time import interleaved_medians
from benchmarks.trainer.head_problem import (
    BLOCK_GATE,
    NO_GATE,
    SUPPORT_SIZE,
    VOCABULARY_SIZE,
    HeadProblem,
    head_problem,
)
from benchmarks.trainer.head_variants import (
    bare_products,
    liger_divergence,
    naive_sampled,
    naive_top_k,
    naive_top_k_gated,
    support_only,
    trl_divergence,
)
from benchmarks.trainer.peak_memory import peak_memory
from benchmarks.trainer.rows import Row, row
from service.jobs.loss_spec import SampledTokenObjective, TeacherTopKObjective

SAMPLED = SampledTokenObjective()
TOP_K = TeacherTopKObjective(k=SUPPORT_SIZE)
SHAPES = {"h256": (1024, 256), "h1024": (512, 1024)}
SHAPE_OF_TOP_K_AND_TRL = "h256"


def scored_and_sampled(problem: HeadProblem) -> None:
    problem.score(SAMPLED)
    problem.update(SAMPLED, BLOCK_GATE)


def scored_and_top_k(problem: HeadProblem) -> None:
    problem.score(TOP_K)
    problem.update(TOP_K, BLOCK_GATE)


def scored_and_support_only(problem: HeadProblem) -> None:
    problem.score(TOP_K)
    support_only(problem)


VARIANTS: Mapping[str, Callable[[HeadProblem], None]] = {
    "sampled": lambda problem: problem.update(SAMPLED, BLOCK_GATE),
    "sampled.naive": lambda problem: naive_sampled(problem, SAMPLED),
    "bare_products": bare_products,
    "topk.gated": lambda problem: problem.update(TOP_K, BLOCK_GATE),
    "topk.gated.naive": naive_top_k_gated,
    "topk.ungated": support_only,
    "topk.ungated.update": lambda problem: problem.update(TOP_K, NO_GATE),
    "topk.ungated.naive": naive_top_k,
    "scored.sampled": scored_and_sampled,
    "scored.topk": scored_and_top_k,
    "scored.topk.ungated": scored_and_support_only,
    "trl": trl_divergence,
    "liger": liger_divergence,
}
SAME = (
    ("sampled", "sampled.naive"),
    ("topk.gated", "topk.gated.naive"),
    ("topk.ungated", "topk.ungated.naive"),
    ("trl", "liger"),
)


def head_rows(*, repeats: int) -> list[Row]:
    rows = []
    for shape, (num_tokens, hidden_size) in SHAPES.items():
        names = ["sampled", "sampled.naive", "bare_products"]
        if shape == SHAPE_OF_TOP_K_AND_TRL:
            names = list(VARIANTS)
        seconds = _seconds(names, num_tokens, hidden_size, repeats=repeats)
        rows += _sampled_rows(shape, seconds)
        if shape == SHAPE_OF_TOP_K_AND_TRL:
            rows += _top_k_rows(seconds) + _rows_against_others(seconds)
    return rows


def _seconds(
    names: list[str], num_tokens: int, hidden_size: int, *, repeats: int
) -> dict[str, float]:
    """Scoring changes the targets, so each variant has a problem of its own: all the same one."""
    problem = head_problem(num_tokens, hidden_size)
    given = problem.teacher
    for one, other in SAME:
        if one in names:
            check_same_gradients(
                problem,
                lambda one=one: VARIANTS[one](problem),
                lambda other=other: VARIANTS[other](problem),
            )

    def run(name: str) -> None:
        problem.teacher = given
        problem.student.zero_grad()
        VARIANTS[name](problem)

    return interleaved_medians(
        {name: lambda name=name: run(name) for name in names}, repeats=repeats
    )


def _sampled_rows(shape: str, seconds: dict[str, float]) -> list[Row]:
    num_tokens, hidden_size = SHAPES[shape]
    flops = 3 * 2 * num_tokens * hidden_size * VOCABULARY_SIZE
    ours, naive = (
        peak_memory(name, num_tokens=num_tokens, hidden_size=hidden_size)
        for name in ("sampled", "sampled.naive")
    )
    prefix = f"head.sampled.{shape}"
    return [
        row(f"{prefix}.time_vs_naive", seconds["sampled"] / seconds["sampled.naive"], "ratio"),
        row(f"{prefix}.memory_vs_naive", ours.extra_bytes / naive.extra_bytes, "ratio"),
        row(f"{prefix}.matmul_rate_share", seconds["bare_products"] / seconds["sampled"], "ratio"),
        row(
            f"{prefix}.memory_with_gradient_vs_naive",
            ours.bytes_with_gradient / naive.bytes_with_gradient,
            "ratio",
        ),
        row(f"{prefix}.rate", flops / seconds["sampled"] / 1e9, "GFLOP/s"),
        row(f"{prefix}.matmul_rate", flops / seconds["bare_products"] / 1e9, "GFLOP/s"),
        row(f"{prefix}.cpu_time", seconds["sampled"], "s"),
        row(f"{prefix}.naive_cpu_time", seconds["sampled.naive"], "s"),
        row(f"{prefix}.extra_memory", ours.extra_bytes / 2**20, "MiB"),
        row(f"{prefix}.naive_extra_memory", naive.extra_bytes / 2**20, "MiB"),
    ]


def _top_k_rows(seconds: dict[str, float]) -> list[Row]:
    gated, ungated = seconds["topk.gated.naive"], seconds["topk.ungated.naive"]
    update = seconds["topk.ungated.update"]
    return [
        row("head.topk.gated.time_vs_naive", seconds["topk.gated"] / gated, "ratio"),
        row("head.topk.ungated.time_vs_naive", seconds["topk.ungated"] / ungated, "ratio"),
        row("head.topk.ungated.with_drift_recorded.time_vs_naive", update / ungated, "ratio"),
    ]


def _rows_against_others(seconds: dict[str, float]) -> list[Row]:
    ungated = seconds["scored.topk.ungated"]
    return [
        row("head.topk.time_vs_trl", seconds["scored.topk"] / seconds["trl"], "ratio"),
        row("head.topk.ungated.time_vs_trl", ungated / seconds["trl"], "ratio"),
        row("head.sampled.time_vs_trl", seconds["scored.sampled"] / seconds["trl"], "ratio"),
        row("head.topk.time_vs_liger", seconds["scored.topk"] / seconds["liger"], "ratio"),
        row("head.sampled.time_vs_liger", seconds["scored.sampled"] / seconds["liger"], "ratio"),
        row("head.trl_cpu_time", seconds["trl"], "s"),
        row("head.liger_cpu_time", seconds["liger"], "s"),
    ]
