from contextlib import closing

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.studies import StudyState
from service.operations import build_operations
from tests.service.studies.played_runs import BASE, study_spec


@pytest.fixture
def operations(settings_factory, sqlite_url):
    settings = settings_factory(database_url=sqlite_url, broker_url="redis://127.0.0.1:9/0")
    with closing(build_operations(settings)) as operations:
        yield operations


def test_a_plan_costs_what_its_jobs_cost_and_creates_nothing(operations):
    spec = study_spec()
    plan = operations.plan_study(spec)
    one = operations.plan_job(spec.base).job.total
    assert plan.num_jobs == 9
    # The shuffled gate needs to know all gates before the loss, so its jobs score more.
    assert plan.arms[0].tokens <= plan.arms[2].tokens
    assert [arm.tokens for arm in plan.arms].count(one.tokens) >= 1
    assert plan.tokens == 3 * sum(arm.tokens for arm in plan.arms)
    assert plan.flops == 3 * sum(arm.flops for arm in plan.arms)
    assert plan.seconds is None
    assert operations.list_studies().studies == ()


def test_a_plan_of_three_seeds_says_that_six_are_needed(operations):
    plan = operations.plan_study(study_spec(smallest_difference=0.05))
    of_pass_at_1 = plan.resolution[0]
    assert (of_pass_at_1.metric, of_pass_at_1.can_resolve) == ("pass@1", False)
    assert (of_pass_at_1.smallest_p_value, of_pass_at_1.smallest_detectable_difference) == (
        0.25,
        None,
    )
    assert of_pass_at_1.seeds_needed >= 6
    assert any("cannot resolve anything at 5 %" in note for note in plan.notes)
    assert any("at least 6 paired seeds" in note for note in plan.notes)


def test_the_seeds_that_a_plan_asks_for_resolve_the_difference(operations):
    needed = operations.plan_study(study_spec(smallest_difference=0.05)).resolution[0].seeds_needed
    enough = operations.plan_study(
        study_spec(smallest_difference=0.05, seeds=list(range(needed)))
    ).resolution[0]
    assert enough.smallest_detectable_difference <= 0.05
    assert enough.can_resolve


def test_a_plan_states_what_is_not_registered_at_the_level_of_its_many_comparisons(operations):
    six = operations.plan_study(study_spec(seeds=list(range(6)), smallest_difference=0.05))
    registered, exploratory = six.resolution
    # Two arms in pass@1, pass@8 and reverse_kl, but for the contrast: 5 / 32 is above .05, and 5 / 128 = .039 is not.
    assert (registered.metric, registered.can_resolve) == ("pass@1", True)
    assert (exploratory.metric, exploratory.can_resolve) == ("pass@8", False)
    assert exploratory.smallest_detectable_difference is None
    assert exploratory.seeds_needed > registered.seeds_needed
    assert any(
        "none of the 5 exploratory comparisons at 5 % after Holm: at least 8 paired" in note
        for note in six.notes
    )
    eight = operations.plan_study(study_spec(seeds=list(range(8))))
    registered, exploratory = eight.resolution
    assert exploratory.can_resolve
    # Of eight pairs six of 128 are within .05, one within .01: Φ(x)^8 = .8 at x = 1.92, times √2 · 0.03.
    assert exploratory.smallest_detectable_difference == pytest.approx(0.0815, abs=0.002)
    assert registered.smallest_detectable_difference == pytest.approx(0.0499, abs=0.002)
    assert not any("exploratory comparisons at 5 %" in note for note in eight.notes)


def test_a_budget_that_is_too_small_is_refused_with_the_figure(operations):
    tokens = operations.plan_study(study_spec()).tokens
    for ask in (operations.plan_study, operations.submit_study):
        with pytest.raises(DriftgateError) as caught:
            ask(study_spec(budget_tokens=tokens - 1))
        assert caught.value.code is ErrorCode.INVALID_SPEC
        assert f"3 arms × 3 seeds may take {tokens:,} tokens" in caught.value.message
    assert operations.submit_study(study_spec(budget_tokens=tokens)).state is StudyState.RUNNING


def test_an_arm_that_cannot_run_is_refused_by_its_place_and_nothing_is_stored(operations):
    arms = [{"name": "a"}, {"name": "b", "changes": {"teacher": {"model": "builtin/nothing"}}}]
    spec = study_spec(arms=arms, baseline="a", contrast={"arm": "b"})
    with pytest.raises(DriftgateError) as caught:
        operations.submit_study(spec)
    assert caught.value.code is ErrorCode.MODEL_NOT_FOUND
    assert caught.value.message.startswith("Arm b: ")
    assert caught.value.violations[0].field == "arms.1.teacher.model"
    assert operations.list_studies().studies == ()


def test_a_study_is_steered_and_asked_again_changes_nothing(operations):
    study = operations.submit_study(study_spec())
    assert study.progress.num_active == 2  # at once, without a reconciler
    assert operations.studies.pause(study.id).state is StudyState.PAUSED
    assert operations.studies.pause(study.id).state is StudyState.PAUSED
    resumed = operations.studies.resume(study.id)
    assert resumed.state is StudyState.RUNNING
    assert [run.state for arm in resumed.arms for run in arm.runs].count("queued") == 2
    assert operations.studies.cancel(study.id).state is StudyState.CANCELLED
    assert operations.studies.cancel(study.id).state is StudyState.CANCELLED
    with pytest.raises(DriftgateError) as caught:
        operations.studies.resume(study.id)
    assert caught.value.code is ErrorCode.STUDY_STATE_CONFLICT
    operations.studies.delete(study.id)


def test_a_retried_request_gets_its_study_though_its_file_is_gone(operations, settings_factory):
    settings = settings_factory()
    prompts = settings.resolved_dataset_root() / "prompts.jsonl"
    prompts.parent.mkdir(parents=True)
    prompts.write_text('{"problem": "1+1"}\n')
    source = {"problems": {"source": "file", "path": "prompts.jsonl"}}
    spec = study_spec(base=BASE | {"prompts": source})
    study = operations.submit_study(spec, idempotency_key="once")
    prompts.unlink()
    assert operations.submit_study(spec, idempotency_key="once").id == study.id
    with pytest.raises(DriftgateError):
        operations.submit_study(spec, idempotency_key="twice")
