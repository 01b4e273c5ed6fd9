"""What is said at submission of a teacher on a server; nothing is asked of it."""

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec
from service.preflight.checks import check
from service.preflight.memory_floor import memory_floor_bytes
from service.preflight.plan import make_plan

ORIGIN = "https://teacher.example:8000"
REMOTE = {"model": "builtin/arithmetic-teacher", "endpoint": f"{ORIGIN}/v1"}
WITHOUT_FILES = REMOTE | {"model": "elsewhere/teacher", "vocabulary": "server"}


def spec_of(teacher, **changes):
    return parse_spec(
        {
            "student": {"model": "builtin/arithmetic-student"},
            "teacher": teacher,
            "prompts": {"problems": {"source": "arithmetic"}},
            "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 112, "top_p": 1.0},
        }
        | changes
    )


@pytest.fixture
def settings(settings_factory):
    return settings_factory(teacher_endpoints=(ORIGIN, "http://10.0.0.7:8000", "no address"))


def refusal_of(spec, settings):
    with pytest.raises(DriftgateError) as refusal:
        check(spec, settings)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    return refusal.value


def warnings_of(spec, settings):
    return {one.code: one for one in check(spec, settings).warnings}


@pytest.mark.parametrize(
    "endpoint",
    [
        f"{ORIGIN}/v1/",
        "https://TEACHER.example:8000/team/v1",
        "http://10.0.0.7:8000/v1",
    ],
)
def test_an_address_that_is_listed_may_be_named_whatever_its_path(settings, endpoint):
    check(spec_of(REMOTE | {"endpoint": endpoint}), settings)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://teacher.example:8000/v1",
        "https://teacher.example/v1",
        "https://teacher.example:8001/v1",
        "https://teacher.example.evil.example:8000/v1",
        "https://eviL-teacher.example:8000/v1",
        "http://127.0.0.1:8000/v1",
        "http://[::1]:8000/v1",
        "http://169.254.169.254/v1",
    ],
)
def test_any_other_address_is_refused_with_those_that_are_listed(settings, endpoint):
    refusal = refusal_of(spec_of(REMOTE | {"endpoint": endpoint}), settings)

    assert refusal.violations[0].field == "teacher.endpoint"
    assert ORIGIN in refusal.message
    assert "DRIFTGATE_TEACHER_ENDPOINTS" in refusal.message


def test_without_the_setting_no_address_may_be_named(settings_factory):
    assert "none on this service" in refusal_of(spec_of(REMOTE), settings_factory()).message


def test_the_settings_list_is_read_from_the_environment(monkeypatch, settings_factory):
    monkeypatch.setenv("DRIFTGATE_TEACHER_ENDPOINTS", f"http://127.0.0.1:8000, {ORIGIN}")

    check(spec_of(REMOTE), settings_factory())


def test_a_server_is_not_sampled_from(settings):
    refusal = refusal_of(spec_of(REMOTE, evaluation={"evaluate_teacher": True}), settings)

    assert refusal.violations[0].field == "evaluation.evaluate_teacher"
    assert "kind 'evaluation'" in refusal.message


def test_what_the_worker_will_ask_is_said(settings):
    warning = warnings_of(spec_of(REMOTE | {"served_model": "big"}), settings)["TEACHER_IS_REMOTE"]

    assert warning.field == "teacher.endpoint"
    assert "serves 'big'" in warning.message


@pytest.mark.parametrize(("k", "is_told"), [(20, False), (21, True), (32, True)])
def test_more_tokens_than_vllm_gives_by_default_are_warned_of_with_the_flag(settings, k, is_told):
    spec = spec_of(REMOTE, objective={"type": "teacher_topk", "k": k})

    warnings = warnings_of(spec, settings)

    assert ("TOP_K_ABOVE_SERVER_DEFAULT" in warnings) is is_told
    assert not is_told or (
        f"--max-logprobs {k} or more" in warnings["TOP_K_ABOVE_SERVER_DEFAULT"].message
    )


@pytest.mark.parametrize(
    ("endpoint", "is_told"),
    [(f"{ORIGIN}/v1", False), ("http://10.0.0.7:8000/v1", True), ("http://127.0.0.1:1/v1", False)],
)
def test_a_key_that_anyone_on_the_way_can_read_is_warned_of(settings_factory, endpoint, is_told):
    settings = settings_factory(
        teacher_endpoints=(ORIGIN, "http://10.0.0.7:8000", "http://127.0.0.1:1")
    )
    teacher = REMOTE | {"endpoint": endpoint, "api_key": {"secret": "KEY"}}

    assert ("TEACHER_KEY_IN_CLEAR" in warnings_of(spec_of(teacher), settings)) is is_told


def test_files_that_are_named_have_to_be_there(settings):
    with pytest.raises(DriftgateError) as refusal:
        check(spec_of(REMOTE | {"model": "not/there"}), settings)

    assert refusal.value.code is ErrorCode.MODEL_NOT_ALLOWED


def test_a_teacher_without_files_is_left_to_its_server_and_that_is_said(settings):
    spec = spec_of(WITHOUT_FILES)

    findings = check(spec, settings)

    assert findings.teacher is None
    warnings = {one.code: one for one in findings.warnings}
    assert "only its token ids are" in warnings["TEACHER_FILES_NOT_READ"].message
    assert "CHECKED_BY_WORKER" not in warnings


@pytest.mark.parametrize("teacher", [REMOTE, WITHOUT_FILES], ids=["files", "no files"])
def test_the_plan_leaves_the_teacher_to_its_server(settings, teacher):
    spec = spec_of(teacher)
    plan = make_plan(spec, check(spec, settings), rate=None)

    assert plan.step.teacher_scoring.flops == 0
    assert plan.step.total.flops > 0
    for memory in plan.memory:
        assert memory.teacher_weights_bytes == 0
        assert memory.peak_bytes > 0
    unknown = {one.part: one.reason for one in plan.unknown}
    assert ("teacher" in unknown) is (teacher is WITHOUT_FILES)


@pytest.mark.parametrize("teacher", [REMOTE, WITHOUT_FILES], ids=["files", "no files"])
def test_a_worker_needs_no_memory_for_the_teacher(settings, teacher):
    local, remote = spec_of({"model": "builtin/arithmetic-teacher"}), spec_of(teacher)
    here = check(local, settings)
    there = check(remote, settings)

    with_teacher = memory_floor_bytes(local, student=here.student, teacher=here.teacher)
    without = memory_floor_bytes(remote, student=there.student, teacher=there.teacher)

    num_parameters = here.teacher.architecture.parameter_counts().total
    assert with_teacher - without == num_parameters * 4  # float32: beside bfloat16 stand copies
