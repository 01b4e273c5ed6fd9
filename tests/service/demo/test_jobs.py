import pytest

from service.demo.jobs import demo_specs
from service.jobs.loss_spec import Granularity


@pytest.mark.parametrize("first", [0, 2])
def test_the_jobs_of_a_pair_differ_in_their_gate_and_name_alone(first):
    ungated, gated = demo_specs(7)[first : first + 2]
    assert ungated.gate.granularity is Granularity.NONE
    assert (gated.gate.granularity, gated.gate.block_size) == (Granularity.BLOCK, 16)
    assert gated.model_copy(update={"gate": ungated.gate, "name": ungated.name}) == ungated


def test_the_demo_runs_both_objectives_and_its_seed_is_in_every_stream():
    assert [spec.objective.type for spec in demo_specs(7)] == ["sampled_token"] * 2 + [
        "teacher_topk"
    ] * 2
    for spec in demo_specs(7):
        assert spec.seed == spec.evaluation.seed == spec.prompts.problems.seed == 7
        assert spec.evaluation.benchmarks[0].problems.seed == 7
