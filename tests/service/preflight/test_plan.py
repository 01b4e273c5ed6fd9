from datetime import UTC, datetime, timedelta

import pytest

from service.jobs.results import Job, Progress
from service.jobs.state import JobState
from service.preflight.checks import check
from service.preflight.plan import MeasuredRate, is_comparable, make_plan, measured_rate

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
CREATED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
RATE = MeasuredRate(1e9, "DRIFTGATE_DEVICE_FLOPS")


@pytest.fixture
def plan_of(settings, spec_of):
    def make(*, rate: MeasuredRate | None = None, **changes: object):
        spec = spec_of(**changes)
        return make_plan(spec, check(spec, settings), rate=rate)

    return make


@pytest.fixture
def models(make_model):
    make_model("student", config=SIZES)
    make_model("teacher", config=SIZES | {"num_hidden_layers": 5})


def job_of(spec, *, attempt: int = 1, seconds: float = 50.0) -> Job:
    return Job(
        id="7f3",
        name=None,
        state=JobState.SUCCEEDED,
        progress=Progress(step=1, total_steps=1, update=1, total_updates=1),
        phase=None,
        attempt=attempt,
        cancel_requested_at=None,
        failure=None,
        warnings=(),
        labels={},
        spec=spec,
        spec_version=1,
        version=1,
        created_at=CREATED,
        updated_at=CREATED,
        started_at=CREATED,
        finished_at=CREATED + timedelta(seconds=seconds),
    )


@pytest.mark.usefixtures("models")
def test_a_plan_holds_spec_warnings_and_every_part(plan_of, spec_of):
    plan = plan_of(rate=RATE, gate={"strength": 0})

    assert plan.spec == spec_of(gate={"strength": 0})
    assert [warning.code for warning in plan.warnings] == ["GATE_INERT"]
    # A layer: 2·48·96 + 2·48·32 + 3·48·80 + 2·48 + 2·16 = 23,936.
    assert (plan.student.body, plan.teacher.body) == (3 * 23_936 + 48, 5 * 23_936 + 48)
    assert plan.trained_parameters == plan.student.total
    assert [memory.dtype for memory in plan.memory] == ["float32", "bfloat16"]
    assert None not in plan.memory[0].model_dump().values()
    assert plan.unknown == ()


@pytest.mark.usefixtures("models")
def test_time_is_flops_over_the_measured_rate(plan_of):
    plan = plan_of(rate=RATE, steps=3)

    assert plan.time.seconds_per_step == plan.step.total.flops / 1e9
    assert plan.time.training_seconds == pytest.approx(3 * plan.time.seconds_per_step)
    assert plan.time.evaluation_seconds == plan.job.evaluation.flops / 1e9
    assert plan.time.total_seconds == pytest.approx(plan.job.total.flops / 1e9)
    assert plan.time.rate_source == "DRIFTGATE_DEVICE_FLOPS"


@pytest.mark.usefixtures("models")
def test_without_a_rate_the_time_is_unknown_and_says_how_to_measure(plan_of):
    plan = plan_of()

    assert plan.time is None
    (unknown,) = plan.unknown
    assert unknown.part == "time"
    assert "divide job.total.flops of a finished job's plan by its seconds" in unknown.reason


def test_a_model_of_unknown_architecture_leaves_its_parts_out(plan_of, make_model):
    make_model("student", config=SIZES)
    make_model("teacher", config={"model_type": "novel"})
    plan = plan_of(rate=RATE)

    assert plan.student is not None
    assert plan.teacher is None
    assert [part.part for part in plan.unknown] == ["teacher", "time"]
    assert "not for model_type 'novel'" in plan.unknown[0].reason
    memory = plan.memory[0]
    assert (memory.teacher_weights_bytes, memory.peak_bytes) == (None, None)
    assert memory.activations_bytes > 0
    assert (plan.step.teacher_scoring.flops, plan.step.total.flops, plan.time) == (None,) * 3
    assert plan.step.updates.flops > 0


@pytest.mark.usefixtures("models")
def test_adapters_are_what_is_trained(plan_of):
    plan = plan_of(lora={"rank": 2, "target_modules": ["q_proj"]})

    # 3 layers, rank 2, 48 inputs and 96 outputs.
    assert plan.trained_parameters == 3 * 2 * (48 + 96)
    assert plan.step.updates.flops < plan_of().step.updates.flops


@pytest.mark.usefixtures("models")
def test_a_finished_job_gives_the_rate_with_which_it_would_have_been_planned_right(
    settings, spec_of
):
    spec = spec_of()
    findings = check(spec, settings)
    plan = make_plan(spec, findings, rate=None)
    rate = measured_rate(job_of(spec), plan)

    assert rate.source == "job 7f3"
    assert make_plan(spec, findings, rate=rate).time.total_seconds == pytest.approx(50)
    assert measured_rate(job_of(spec, seconds=0), plan) is None


def test_only_jobs_on_the_same_kind_of_device_with_the_same_models_compare(spec_of):
    spec = spec_of()

    assert is_comparable(spec, job_of(spec_of(steps=3)))
    assert not is_comparable(spec, job_of(spec, attempt=2))
    assert not is_comparable(spec, job_of(spec_of(teacher={"model": "other"})))
    assert not is_comparable(spec, job_of(spec_of(compute={"device": "cpu"})))
    assert not is_comparable(spec, job_of(spec_of(compute={"engine": "vllm"})))
    assert not is_comparable(spec, job_of(spec_of(resources={"gpus": 8})))
