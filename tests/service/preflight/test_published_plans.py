"""The plan of each published preset, from the shapes of the real models: what it needs, and how long it may take."""

import io

import pytest
from rich.console import Console

from service.job_commands.job_text import plan_page
from service.jobs.presets import STUDENT, TEACHER, Preset, published_presets
from service.jobs.spec import JobSpec
from service.preflight.architecture import Architecture, read_architecture
from service.preflight.checks import Findings
from service.preflight.disk import disk_plan
from service.preflight.memory import memory_plans
from service.preflight.model_files import read_model_facts
from service.preflight.plan import MeasuredRate, make_plan
from service.preflight.time_range import FASTEST, SLOWEST, time_range
from service.preflight.work import job_work, step_work

OF_BOTH = {
    "model_type": "qwen3",
    "vocab_size": 151_936,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": True,
}
# config.json of Qwen/Qwen3-1.7B-Base and Qwen/Qwen3-4B-Base.
CONFIGS = {
    STUDENT: {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28},
    TEACHER: {
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
    },
}
NUM_PROBLEMS = (500, 30, 30, 40)  # MATH500, AIME24, AIME25, AMC23
GIB = 2**30


def architecture_of(model: str) -> Architecture:
    architecture = read_architecture(OF_BOTH | CONFIGS[model])
    assert isinstance(architecture, Architecture)
    return architecture


def range_of(spec: JobSpec):
    models = {"student": architecture_of(STUDENT), "teacher": architecture_of(TEACHER)}
    step = step_work(spec, vocab_size=151_936, **models)
    job = job_work(spec, step, **models, num_benchmark_problems=NUM_PROBLEMS)
    return time_range(
        spec, step, job, student=models["student"], num_benchmark_problems=NUM_PROBLEMS
    )


each_preset = pytest.mark.parametrize(
    "preset", published_presets(), ids=[preset.name for preset in published_presets()]
)


def test_the_models_have_their_published_sizes():
    # 1.72 and 4.02 billion parameters with tied embeddings.
    totals = [architecture_of(model).parameter_counts().total for model in (STUDENT, TEACHER)]
    assert [round(total / 1e9, 2) for total in totals] == [1.72, 4.02]


@each_preset
def test_a_preset_says_what_it_needs_of_memory_and_disk(preset: Preset):
    student, teacher = architecture_of(STUDENT), architecture_of(TEACHER)
    by_dtype = {
        plan.dtype: plan
        for plan in memory_plans(
            preset.spec,
            vocab_size=151_936,
            student=student,
            teacher=teacher,
            num_benchmark_problems=NUM_PROBLEMS,
        )
    }
    # bfloat16: 1.72 and 4.02 billion weights of 2 bytes, 12 of states a trained one.
    plan = by_dtype["bfloat16"]
    assert plan.student_weights_bytes + plan.teacher_weights_bytes == pytest.approx(
        (1.72 + 4.02) * 2e9, rel=0.01
    )
    assert plan.optimizer_states_bytes == pytest.approx(12 * 1.72e9, rel=0.01)
    # With every response at its limit it fits a GPU of 80 GB, all told.
    assert 32 * GIB < plan.peak_bytes < 75 * GIB
    disk = disk_plan(preset.spec, student=student, teacher=teacher)
    # In float32 4 bytes a weight of both; a checkpoint in bfloat16 2 + 12 a trained weight, three of them.
    assert disk.models_bytes == pytest.approx((1.72 + 4.02) * 4e9, rel=0.01)
    assert disk.checkpoint_bytes == pytest.approx(14 * 1.72e9, rel=0.01)
    assert disk.checkpoints_bytes == 3 * disk.checkpoint_bytes


@each_preset
def test_a_preset_says_how_long_it_may_take_and_what_that_assumes(preset: Preset):
    found = range_of(preset.spec)
    # Hours on the fastest, weeks on the slowest; a day or two is between.
    assert 3600 < found.low_seconds < 24 * 3600
    assert 24 * 3600 < found.high_seconds < 60 * 24 * 3600
    assert "nothing was measured; assumed 1 GPU, from an H100" in found.assumption
    assert f"{SLOWEST.name} at 20% and 40%" in found.assumption


@each_preset
def test_the_plan_of_a_preset_is_whole_and_its_page_says_so(preset: Preset, make_model):
    facts = [
        read_model_facts(
            make_model(model, config=OF_BOTH | CONFIGS[model]), reference=model, field=""
        )
        for model in (STUDENT, TEACHER)
    ]
    findings = Findings((), *facts, NUM_PROBLEMS)
    plan = make_plan(preset.spec, findings, rate=None)
    page = Console(width=200, file=io.StringIO(), record=True)
    page.print(plan_page(plan))
    text = page.export_text()

    assert [part.part for part in plan.unknown] == ["time"]  # no rate was measured
    for wanted in ("GiB in bfloat16", "from 7:", "nothing was measured", "GiB of checkpoints"):
        assert wanted in text
    measured = make_plan(preset.spec, findings, rate=MeasuredRate(1e14, "job 7f3"))
    assert measured.time_range is None
    assert measured.time.rate_source == "job 7f3"


def test_decoding_of_one_step_by_hand():
    spec = published_presets()[0].spec
    without = spec.model_copy(
        update={"evaluation": spec.evaluation.model_copy(update={"benchmarks": ()})}
    )
    models = {"student": architecture_of(STUDENT), "teacher": architecture_of(TEACHER)}
    step = step_work(without, vocab_size=151_936, **models)
    job = job_work(without, step, **models, num_benchmark_problems=())
    found = time_range(without, step, job, student=models["student"], num_benchmark_problems=())
    # 4,096 rounds a step: the weights, and 32 sequences of 2,048 + 2,048 positions of 28·2·1,024 halves.
    parameters = architecture_of(STUDENT).parameter_counts().total
    round_bytes = 2 * parameters + 32 * 4096 * (28 * 2 * 1024) * 2
    decoding = 4096 * (0.002 + round_bytes / (0.6 * 3.35e12))
    products = step.teacher_scoring.flops + step.student_scoring.flops + step.updates.flops
    expected = 200 * (decoding + 0.25 * products / (0.5 * FASTEST.flops_per_second))
    assert found.low_seconds == pytest.approx(expected)


def test_several_gpus_share_the_work_and_a_cpu_is_not_guessed_at():
    spec = published_presets()[0].spec
    two = spec.model_copy(update={"resources": spec.resources.model_copy(update={"gpus": 2})})
    on_cpu = spec.model_copy(update={"compute": spec.compute.model_copy(update={"device": "cpu"})})
    assert range_of(two).high_seconds == pytest.approx(range_of(spec).high_seconds / 2)
    assert "assumed 2 GPUs" in range_of(two).assumption
    assert range_of(on_cpu) is None
