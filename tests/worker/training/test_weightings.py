import pytest

from service.jobs.loss_spec import Advantage, Direction, Granularity
from service.jobs.spec import JobSpec
from worker.training.weightings import weightings

GATES = ["none", "block", "newline_span", "token"]


def spec_of(**changes: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
        }
        | changes
    )


def test_sampled_tokens_are_weighed_by_advantage_clip_and_gate_beside_the_jobs_own_way() -> None:
    spec = spec_of(gate={"block_size": 16, "direction": "shuffled", "strength": 3})
    variants = weightings(spec)
    assert list(variants) == ["job"] + [
        f"{advantage}/{clip}/{gate}"
        for advantage in ("frozen", "recomputed")
        for clip in ("clip", "no_clip")
        for gate in GATES
    ]
    assert variants["job"] == spec
    chosen = variants["recomputed/no_clip/token"]
    assert chosen.objective.advantage is Advantage.RECOMPUTED
    assert (chosen.objective.clip_range, chosen.objective.dual_clip) == (None, None)
    assert chosen.gate.granularity is Granularity.TOKEN
    assert (chosen.gate.direction, chosen.gate.strength) == (Direction.DAMP, 3)
    assert variants["frozen/clip/block"].gate.block_size == 16


def test_teacher_top_k_has_no_advantage_and_no_clip_to_choose() -> None:
    spec = spec_of(objective={"type": "teacher_topk", "k": 4})
    variants = weightings(spec)
    assert list(variants) == ["job", *(f"topk/{gate}" for gate in GATES)]
    assert {each.objective for each in variants.values()} == {spec.objective}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"clip_range": 0.1, "dual_clip": None}, (0.1, None)),
        ({"clip_range": None, "dual_clip": None}, (0.2, 3.0)),
    ],
)
def test_the_clip_is_the_jobs_own_or_the_published_one(own: dict, expected: tuple) -> None:
    variants = weightings(spec_of(objective={"type": "sampled_token", **own}))
    clipped = variants["frozen/clip/none"].objective
    assert (clipped.clip_range, clipped.dual_clip) == expected


@pytest.mark.parametrize("gate", [{"kernel": "hard"}, {"kernel": "ratio"}, {"strength": 0}])
def test_every_weighting_is_a_spec_that_submission_would_take(gate: dict) -> None:
    for variant in weightings(spec_of(gate=gate)).values():
        assert JobSpec.model_validate(variant.model_dump(mode="json")) == variant
