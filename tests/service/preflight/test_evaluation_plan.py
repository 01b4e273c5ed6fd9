import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.parsing import parse_spec
from service.preflight.evaluation_checks import check_evaluation
from service.preflight.evaluation_plan import make_evaluation_plan, make_plan_without_model
from service.preflight.plan import MeasuredRate

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


@pytest.fixture
def evaluation_of(make_model):
    make_model("model", config=SIZES)

    def make(**fields):
        arithmetic = {"source": "arithmetic", "num_problems": 20}
        evaluation = {"benchmarks": [{"name": "chains", "problems": arithmetic}]}
        return parse_spec(
            {
                "kind": "evaluation",
                "model": {"model": "model"},
                "evaluation": evaluation | {"max_response_tokens": 128},
                "max_prompt_tokens": 64,
                "compute": {"device": "cpu"},
            }
            | fields
        )

    return make


def test_an_evaluation_is_its_prompts_once_and_every_sample_to_its_limit(evaluation_of, settings):
    spec = evaluation_of()
    rate = MeasuredRate(1e9, "DRIFTGATE_DEVICE_FLOPS")
    plan = make_evaluation_plan(spec, check_evaluation(spec, settings), rate=rate)

    assert plan.job.total.tokens == 20 * (64 + 8 * 128)
    assert (plan.step, plan.teacher, plan.trained_parameters) == (None, None, None)
    assert plan.time.total_seconds == plan.job.total.flops / 1e9
    assert plan.time.training_seconds == plan.time.seconds_per_step == 0
    (memory,) = plan.memory
    # All 160 samples side by side: keys and values of 3 layers, 2 heads of 16, 192 positions.
    assert memory.evaluation_cache_bytes == 160 * 192 * 3 * 2 * (2 * 16) * 4
    assert memory.student_weights_bytes == 4 * plan.student.total
    assert memory.peak_bytes == (
        memory.student_weights_bytes + memory.evaluation_cache_bytes + memory.rollout_logits_bytes
    )


def test_a_model_of_unknown_shape_leaves_parts_of_the_plan_unknown(
    evaluation_of, make_model, settings
):
    make_model("other", config={"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]})
    spec = evaluation_of(model={"model": "other"})
    plan = make_evaluation_plan(spec, check_evaluation(spec, settings), rate=None)
    assert (plan.student, plan.job.total.flops) == (None, None)
    assert [unknown.part for unknown in plan.unknown] == ["student", "time"]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"model": {"model": "absent"}}, ErrorCode.MODEL_NOT_FOUND, "model.model"),
        ({"max_prompt_tokens": 500_000}, ErrorCode.INVALID_SPEC, "evaluation.max_response_tokens"),
    ],
)
def test_what_cannot_run_is_refused_with_its_field(evaluation_of, settings, fields, code, field):
    with pytest.raises(DriftgateError) as refusal:
        check_evaluation(evaluation_of(**fields), settings)
    assert refusal.value.code is code
    assert refusal.value.violations[0].field == field


def test_a_regrade_runs_no_model():
    plan = make_plan_without_model(parse_spec({"kind": "regrade", "job_id": "0199"}))
    assert (plan.job, plan.step, plan.memory, plan.unknown) == (None, None, (), ())
