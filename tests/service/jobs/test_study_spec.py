from pathlib import Path

import pytest
import yaml

from service.errors import DriftgateError, ErrorCode
from service.jobs.loss_spec import Direction, Granularity, TeacherTopKObjective
from service.jobs.presets import published_presets
from service.jobs.study_arms import arm_presets, plain_changes, with_changes
from service.jobs.study_jobs import arm_specs, parse_study, run_spec
from tests.service.studies.played_runs import BASE, STUDY

NO_GATE = {"granularity": "none"}


def refusal_of(**changes):
    with pytest.raises(DriftgateError) as caught:
        arm_specs(parse_study(STUDY | changes))
    assert caught.value.code is ErrorCode.INVALID_SPEC
    return caught.value


def arms(*more):
    return {"arms": [*STUDY["arms"], *more]}


def test_changes_are_put_over_the_base_object_by_object():
    base = {"gate": {"block_size": 16, "strength": 1.0}, "steps": 5}
    assert with_changes(base, {"gate": {"strength": {"adaptive": 2.0}}, "lora": None}) == {
        "gate": {"block_size": 16, "strength": {"adaptive": 2.0}},
        "steps": 5,
        "lora": None,
    }
    assert base["gate"]["strength"] == 1.0


def test_null_is_a_value_because_no_clip_is_one():
    spec = parse_study(STUDY | arms({"preset": "no-clip"}))
    assert arm_specs(spec)["no-clip"].objective.clip_range is None
    assert arm_specs(spec)["no-clip"].objective.dual_clip == 3.0


def test_an_object_of_another_type_replaces_the_whole():
    topk = {"name": "topk", "changes": {"objective": {"type": "teacher_topk", "k": 4}}}
    spec = parse_study(STUDY | arms(topk))
    assert arm_specs(spec)["topk"].objective == TeacherTopKObjective(k=4)


def test_every_preset_makes_an_arm_of_the_base_and_the_published_ones_are_the_published():
    named = [{"preset": preset.name} for preset in arm_presets()]
    spec = parse_study(
        STUDY
        | {
            "arms": named,
            "baseline": "sampled-token",
            "contrast": {"arm": "sampled-token-block-64"},
        }
    )
    specs = arm_specs(spec)
    assert len(specs) == 11
    for preset in published_presets():
        assert specs[preset.name].objective == preset.spec.objective
        assert specs[preset.name].gate == preset.spec.gate
    assert specs["shuffled-gate"].gate.direction is Direction.SHUFFLED
    assert specs["reuse-1"].num_updates == BASE["steps"]
    assert specs["constant-advantage"].objective.advantage == "constant"
    assert specs["recomputed-advantage"].objective.advantage == "recomputed"


def test_changes_go_over_a_preset_and_a_stored_spec_is_read_back_as_it_was():
    arm = {"preset": "sampled-token-block-64", "changes": {"gate": {"block_size": 8}}}
    spec = parse_study(STUDY | arms(arm))
    assert arm_specs(spec)["sampled-token-block-64"].gate.block_size == 8
    assert arm_specs(spec)["sampled-token-block-64"].gate.granularity is Granularity.BLOCK
    assert parse_study(spec.model_dump(mode="json")) == spec


def test_whole_numbers_are_integers_whatever_the_transport_has():
    assert plain_changes({"steps": 5.0, "optimizer": {"learning_rate": 0.5}}) == {
        "steps": 5,
        "optimizer": {"learning_rate": 0.5},
    }
    by_doubles = parse_study(STUDY | arms({"name": "short", "changes": {"steps": 3.0}}))
    assert arm_specs(by_doubles)["short"].steps == 3


def test_a_run_has_the_name_the_seed_and_the_labels_of_its_place():
    study = parse_study(STUDY | {"name": "n" * 200, "base": BASE | {"labels": {"team": "a"}}})
    spec = run_spec(study, arm_specs(study)["block"], study_id="0" * 32, arm="block", seed=2)
    assert spec.name == f"{'n' * 100}: block, seed 2"
    assert spec.seed == 2
    assert spec.labels == {
        "team": "a",
        "study/id": "0" * 32,
        "study/arm": "block",
        "study/seed": "2",
    }


def test_one_seed_is_refused_for_it_has_no_variance():
    refusal = refusal_of(seeds=[1])
    assert refusal.violations[0].field == "seeds"
    assert refusal.violations[0].allowed == "a study of one seed has no seed variance; at least 3"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seeds": [1, 2]}, "seeds"),
        ({"seeds": [1, 1, 2]}, "seeds"),
        ({"baseline": "nothing"}, "baseline"),
        ({"contrast": {"arm": "nothing"}}, "contrast.arm"),
        ({"contrast": {"arm": "block", "minus": "nothing"}}, "contrast.minus"),
        ({"contrast": {"arm": "ungated"}}, "contrast.arm"),
        ({"contrast": {"arm": "block", "metric": "pass@3"}}, "contrast.metric"),
        ({"contrast": {"arm": "block", "metric": "loss"}}, "contrast.metric"),
        ({"base": BASE | {"evaluation": {}}}, "base.evaluation.benchmarks"),
        ({"base": BASE | {"steps": 0}}, "base.steps"),
        ({"base": BASE | {"labels": {f"l{i}": "" for i in range(62)}}}, "base.labels"),
        (arms({"name": "block"}), "arms"),
        (arms({"preset": "nothing"}), "arms.3.preset"),
        (arms({"name": "x", "changes": {"seed": 3}}), "arms.3.changes"),
        (arms({"name": "x", "changes": {"gate": {"blocks": 3}}}), "arms.3.changes.gate.blocks"),
        (arms({"name": "x", "changes": {"steps": "many"}}), "arms.3.changes.steps"),
        (arms({"name": "x", "changes": {"steps": float("nan")}}), "arms.3.changes.steps"),
        ({"seeds": list(range(64)), **arms(*({"name": f"a{i}"} for i in range(20)))}, "arms"),
        ({"max_active_jobs": 0}, "max_active_jobs"),
        ({"nothing": 1}, "nothing"),
    ],
)
def test_what_is_no_study_is_refused_by_its_field(changes, field):
    assert refusal_of(**changes).violations[0].field == field


def test_objects_within_objects_have_an_end():
    nested = {}
    for _ in range(40):
        nested = {"gate": nested}
    assert "nested at most" in refusal_of(**arms({"name": "x", "changes": nested})).message


def test_arms_that_train_the_same_are_refused_however_they_are_written():
    same = refusal_of(arms=[{"name": "a"}, {"name": "b"}], baseline="a", contrast={"arm": "b"})
    assert "b trains exactly what a does" in same.message
    # A gate that is off has no direction.
    off = {"name": "off", "changes": {"gate": NO_GATE | {"direction": "shuffled"}}}
    assert "off trains exactly what ungated does" in refusal_of(**arms(off)).message


def test_a_control_that_the_base_cannot_have_is_refused_by_its_field():
    topk = BASE | {"objective": {"type": "teacher_topk", "k": 4}}
    refusal = refusal_of(base=topk, **arms({"preset": "no-clip"}))
    assert refusal.violations[0].field == "arms.3.changes.objective.clip_range"


def test_the_example_of_the_documentation_is_a_study():
    path = Path(__file__).parents[3] / "docs" / "examples" / "study.yaml"
    spec = parse_study(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert list(arm_specs(spec)) == ["ungated", "block", "shuffled-gate"]
    assert len(spec.seeds) == 8
