"""Jobs on models that only the worker can read: accepted in doubt, checked there."""

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import EvaluationJobSpec
from service.preflight.checks import check, check_on_worker
from service.preflight.evaluation_checks import check_evaluation, check_evaluation_on_worker
from service.preflight.evaluation_plan import make_evaluation_plan
from service.preflight.plan import MeasuredRate, make_plan
from tests.service.preflight.conftest import SYMBOLS

PRIVATE = {"model": "Tiny/model", "hub_token": {"secret": "HUB_TOKEN"}}
RATE = MeasuredRate(1e9, "DRIFTGATE_DEVICE_FLOPS")
SIZES = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


@pytest.fixture
def online(settings, fake_hub, monkeypatch):
    """The worker's settings: the hub answers it, and it has the secret."""
    fake_hub.token = "hf_hidden"
    monkeypatch.setenv("DRIFTGATE_SECRET_HUB_TOKEN", "hf_hidden")
    return settings.model_copy(update={"hub_endpoint": fake_hub.url})


@pytest.fixture
def models(make_model, fake_hub):
    make_model("student", config=SIZES)
    make_model("teacher", config=SIZES)
    make_model("Tiny/model", root=fake_hub.root, config=SIZES | {"num_hidden_layers": 5})


def refusal_of(call, *arguments):
    with pytest.raises(DriftgateError) as refusal:
        call(*arguments)
    return refusal.value


def evaluation_of(spec):
    return EvaluationJobSpec.model_validate(
        {
            "kind": "evaluation",
            "model": PRIVATE,
            "evaluation": spec.evaluation.model_dump(),
            "max_prompt_tokens": 64,
        }
    )


@pytest.mark.usefixtures("models")
def test_a_teacher_that_only_the_worker_can_read_is_accepted_with_a_warning(online, spec_of):
    spec = spec_of(teacher=PRIVATE)

    (warning,) = check(spec, online).warnings
    assert (warning.code, warning.field) == ("CHECKED_BY_WORKER", "teacher.hub_token")
    assert "'Tiny/model'" in warning.message
    assert "HUB_TOKEN" in warning.message

    # What the worker has read is in this test's cache, so that from now on submission knows it too.
    assert check_on_worker(spec, online).warnings == check(spec, online).warnings == ()


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_the_plan_says_which_parts_the_worker_will_know(online, spec_of, role):
    spec = spec_of(**{role: PRIVATE})

    plan = make_plan(spec, check(spec, online), rate=RATE)

    unknown = {one.part: one.reason for one in plan.unknown}
    assert unknown.keys() == {role, "time"}
    assert unknown[role].startswith("checked by the worker: ")
    assert "HUB_TOKEN" in unknown[role]
    assert {name for name in ("student", "teacher") if getattr(plan, name) is None} == {role}
    assert plan.step.total.tokens > 0
    assert plan.memory[0].peak_bytes is None


@pytest.mark.usefixtures("models")
def test_of_two_unseen_models_nothing_is_planned_and_every_part_says_why(online, spec_of):
    teacher = PRIVATE | {"revision": "v2"}
    spec = spec_of(student=PRIVATE, teacher=teacher)

    findings = check(spec, online)
    plan = make_plan(spec, findings, rate=RATE)

    assert [one.field for one in findings.warnings] == ["student.hub_token", "teacher.hub_token"]
    assert [one.part for one in plan.unknown] == [
        "student",
        "teacher",
        "memory",
        "step",
        "job",
        "time",
    ]
    assert (plan.memory, plan.step, plan.job, plan.time) == ((), None, None, None)


@pytest.mark.usefixtures("models")
def test_an_evaluation_of_an_unseen_model_is_accepted_and_checked_by_the_worker(online, spec_of):
    spec = evaluation_of(spec_of())

    findings = check_evaluation(spec, online)
    plan = make_evaluation_plan(spec, findings, rate=RATE)

    assert [(one.code, one.field) for one in findings.warnings] == [
        ("CHECKED_BY_WORKER", "model.hub_token")
    ]
    assert [one.part for one in plan.unknown] == ["student", "memory", "time"]
    assert (plan.memory, plan.job.evaluation.flops) == ((), None)
    assert plan.job.evaluation.tokens > 0

    seen = check_evaluation_on_worker(spec, online)
    assert (seen.warnings, seen.model.vocab_size) == ((), len(SYMBOLS))
    too_long = spec.model_copy(update={"max_prompt_tokens": 300})
    refusal = refusal_of(check_evaluation_on_worker, too_long, online)
    assert refusal.violations[0].field == "evaluation.max_response_tokens"


def test_the_worker_refuses_what_submission_could_not_see(online, spec_of, make_model, fake_hub):
    make_model("student")
    make_model("Tiny/model", root=fake_hub.root, symbols=[*SYMBOLS[:-2], "t", "s"])
    spec = spec_of(teacher=PRIVATE)
    assert check(spec, online).warnings

    refusal = refusal_of(check_on_worker, spec, online)

    assert refusal.code is ErrorCode.VOCABULARY_MISMATCH


@pytest.mark.usefixtures("models")
def test_the_worker_without_the_secret_says_so(online, spec_of, monkeypatch):
    monkeypatch.delenv("DRIFTGATE_SECRET_HUB_TOKEN")
    spec = spec_of(teacher=PRIVATE)

    for call, one in ((check_on_worker, spec), (check_evaluation_on_worker, evaluation_of(spec))):
        assert refusal_of(call, one, online).code is ErrorCode.SECRET_NOT_FOUND


@pytest.mark.usefixtures("models")
def test_what_is_known_at_submission_is_checked_all_the_same(online, spec_of):
    too_long = {"max_prompt_tokens": 200, "max_response_tokens": 100, "top_p": 1.0}
    refusal = refusal_of(check, spec_of(teacher=PRIVATE, rollout=too_long), online)
    assert refusal.code is ErrorCode.INVALID_SPEC

    missing = {"problems": {"source": "file", "path": "none.jsonl"}}
    refusal = refusal_of(check, spec_of(student=PRIVATE, teacher=PRIVATE, prompts=missing), online)
    assert refusal.code is ErrorCode.DATASET_NOT_FOUND


def test_a_model_that_is_read_with_two_tokens_is_one_model(online, spec_of):
    other = PRIVATE | {"hub_token": {"secret": "OTHER_TOKEN"}}

    warnings = check(spec_of(student=PRIVATE, teacher=other), online).warnings

    assert warnings[0].code == "TEACHER_IS_STUDENT"
