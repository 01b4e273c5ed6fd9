import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic"}},
}


def refusal_of(data):
    with pytest.raises(DriftgateError) as caught:
        parse_spec(data)
    assert caught.value.code is ErrorCode.INVALID_SPEC
    return caught.value


def test_a_field_inside_a_union_has_the_path_that_the_client_wrote():
    prompts = {"problems": {"source": "inline", "problems": [{"id": "1", "problem": ""}]}}
    (violation,) = refusal_of(SPEC | {"prompts": prompts}).violations
    assert violation.field == "prompts.problems.problems.0.problem"
    assert violation.allowed == "at least 1 character"


def test_an_unknown_field_is_answered_with_those_that_stand_beside_it():
    (violation,) = refusal_of(SPEC | {"objective": {"type": "teacher_topk", "K": 4}}).violations
    assert violation.field == "objective.K"
    assert violation.allowed == "no such field; the fields here are k, type"


def test_a_missing_field_inside_a_union_is_named():
    (violation,) = refusal_of(SPEC | {"prompts": {"problems": {"source": "file"}}}).violations
    assert (violation.field, violation.given) == ("prompts.problems.path", "nothing")


def test_a_check_across_fields_names_the_field_and_its_value():
    (violation,) = refusal_of(SPEC | {"gate": {"min_span": 5, "max_span": 3}}).violations
    assert (violation.field, violation.given) == ("gate.min_span", "5")
    assert violation.allowed == "may be at most max_span, which is 3"


def test_a_warm_up_longer_than_the_job_is_refused():
    # 3 steps × 2 epochs × 2 minibatches are 12 updates.
    job = SPEC | {"steps": 3, "reuse": {"epochs": 2, "minibatches": 2}}
    assert parse_spec(job | {"optimizer": {"schedule": {"warmup_updates": 12}}}).num_updates == 12
    (violation,) = refusal_of(job | {"optimizer": {"schedule": {"warmup_updates": 13}}}).violations
    assert (violation.field, violation.given) == ("optimizer.schedule.warmup_updates", "13")
    assert violation.allowed.startswith("the job has only 12 updates")


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (None, "null"),
        ([], "[]"),
        (["text"], '["***"]'),
        ("text", "a text that is not shown"),
        (3, "a number that is not shown"),
    ],
)
def test_what_is_no_object_is_no_spec(data, given):
    (violation,) = refusal_of(data).violations
    assert (violation.field, violation.given, violation.allowed) == ("", given, "an object")


def test_the_message_says_how_much_else_is_wrong():
    error = refusal_of(SPEC | {"steps": 0, "seed": -1, "name": ""})
    assert error.message.endswith("And 2 more.")


def test_a_long_value_is_not_repeated_in_full():
    (violation,) = refusal_of(SPEC | {"name": "x" * 10_000}).violations
    assert len(violation.given) <= 201


def test_a_missing_place_of_a_pair_is_named():
    (violation,) = refusal_of(SPEC | {"gate": {"ratio_bounds": [0.5]}}).violations
    assert (violation.field, violation.given) == ("gate.ratio_bounds.1", "nothing")


def test_very_many_errors_are_counted_but_not_all_listed():
    error = refusal_of(SPEC | {f"unknown_{index}": 1 for index in range(150)})
    assert len(error.violations) == 100
    assert error.message.endswith("And 149 more.")


def test_of_a_list_only_the_first_wrong_element_is_named():
    # Naming each of two million took minutes and gigabytes.
    benchmarks = [{"name": "a", "problems": {"source": "arithmetic"}}, *[1] * 10]
    (violation,) = refusal_of(SPEC | {"evaluation": {"benchmarks": benchmarks}}).violations
    assert violation.field == "evaluation.benchmarks.1"


def test_an_object_of_very_many_fields_is_refused_as_one():
    (violation,) = refusal_of({f"unknown_{index}": 1 for index in range(100_000)}).violations
    assert "at most 200 fields" in violation.allowed


EVALUATION = {
    "kind": "evaluation",
    "model": {"model": "m"},
    "evaluation": {"benchmarks": [{"name": "aime24"}]},
}


def test_an_unknown_kind_is_answered_with_those_there_are():
    (violation,) = refusal_of({"kind": "training"}).violations
    assert (violation.field, violation.given) == ("kind", '"training"')
    assert violation.allowed == "distillation, evaluation, regrade, export"


def test_the_fields_of_an_evaluation_have_the_paths_that_the_client_wrote():
    (missing,) = refusal_of(
        {"kind": "evaluation", "evaluation": EVALUATION["evaluation"]}
    ).violations
    assert (missing.field, missing.given) == ("model", "nothing")
    (unknown,) = refusal_of(EVALUATION | {"teacher": {"model": "t"}}).violations
    assert unknown.field == "teacher"
    assert "max_prompt_tokens" in unknown.allowed
    inside, *_ = refusal_of(EVALUATION | {"evaluation": {"k": [0]}}).violations
    assert inside.field == "evaluation.k.0"


def test_an_evaluation_without_a_benchmark_is_refused():
    (violation,) = refusal_of(EVALUATION | {"evaluation": {}}).violations
    assert violation.field == "evaluation.benchmarks"


def test_a_benchmark_is_found_by_a_published_name_and_by_no_other():
    spec = parse_spec(EVALUATION)
    (benchmark,) = spec.evaluation.benchmarks
    assert (benchmark.problems.source, benchmark.problems.name) == ("published", "aime24")
    other = EVALUATION | {"evaluation": {"benchmarks": [{"name": "aime26"}]}}
    (violation,) = refusal_of(other).violations
    assert (violation.field, violation.given) == ("evaluation.benchmarks.0.problems", "nothing")


@pytest.mark.parametrize(
    ("given", "profile", "values"),
    [
        ({}, "paper", (1.0, 0.9, None, 16_384)),
        ({"profile": "policy"}, "policy", (1.0, 1.0, None, 16_384)),
        ({"profile": "qwen3-think"}, "qwen3-think", (0.6, 0.95, 20, 38_912)),
        ({"profile": "qwen3-nothink"}, "qwen3-nothink", (0.7, 0.8, 20, 16_384)),
        ({"top_k": 5}, "custom", (1.0, 1.0, 5, 16_384)),
        ({"profile": "paper", "max_response_tokens": 9}, "paper", (1.0, 0.9, None, 9)),
        ({"profile": "policy", "top_p": 1}, "policy", (1.0, 1.0, None, 16_384)),
    ],
)
def test_a_profile_fills_in_what_it_stands_for(given, profile, values):
    evaluation = parse_spec(SPEC | {"evaluation": given}).evaluation
    assert evaluation.profile == profile
    assert (
        evaluation.temperature,
        evaluation.top_p,
        evaluation.top_k,
        evaluation.max_response_tokens,
    ) == values


def test_a_profile_cannot_be_sampled_in_another_way():
    (violation,) = refusal_of(SPEC | {"evaluation": {"profile": "paper", "top_p": 1}}).violations
    assert (violation.field, violation.given) == ("evaluation.top_p", "1.0")
    assert violation.allowed.startswith("profile paper has 0.9")


def test_every_benchmark_needs_as_many_samples_as_its_largest_k():
    benchmark = {"name": "aime24", "samples_per_problem": 4}
    (violation,) = refusal_of(SPEC | {"evaluation": {"benchmarks": [benchmark]}}).violations
    assert violation.field == "evaluation.benchmarks.0.samples_per_problem"
    assert violation.allowed == "pass@8 needs at least 8 samples per problem"
