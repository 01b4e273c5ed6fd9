import pytest

from service.jobs.plans import MemoryPlan
from service.jobs.spec import EvaluationJobSpec, JobSpec
from service.preflight.checks import check
from service.preflight.evaluation_checks import check_evaluation
from service.preflight.memory import memory_plans
from service.preflight.memory_floor import evaluation_memory_floor_bytes, memory_floor_bytes

STUDENT = {"model": "builtin/arithmetic-student"}
TEACHER = {"model": "builtin/arithmetic-teacher"}
SHORT = {"max_prompt_tokens": 64, "max_response_tokens": 112}


def distillation(**changes: object) -> JobSpec:
    return JobSpec.model_validate(
        {
            "student": STUDENT,
            "teacher": TEACHER,
            "prompts": {"problems": {"source": "arithmetic"}},
            "rollout": SHORT,
            **changes,
        }
    )


def without_lengths(plan: MemoryPlan) -> int:
    parts = (
        plan.student_weights_bytes,
        plan.teacher_weights_bytes,
        plan.optimizer_states_bytes,
        plan.gradients_bytes,
    )
    return sum(part or 0 for part in parts)


@pytest.mark.parametrize(
    "changes",
    [{"compute": {"device": "cpu"}}, {"compute": {"dtype": "float32"}}, {}, {"lora": {"rank": 4}}],
)
def test_the_floor_is_the_part_of_the_plan_that_no_length_changes(changes, settings_factory):
    spec = distillation(**changes)
    found = check(spec, settings_factory())
    floor = memory_floor_bytes(spec, student=found.student, teacher=found.teacher)
    plans = memory_plans(
        spec,
        vocab_size=found.student.vocab_size,
        student=found.student.architecture,
        teacher=found.teacher.architecture,
        num_benchmark_problems=(),
    )
    assert floor == min(without_lengths(plan) for plan in plans)
    assert floor < min(plan.peak_bytes for plan in plans)


@pytest.mark.parametrize(
    ("offload", "bytes_of_student", "bytes_of_teacher"),
    [
        # The student's weights, moments, masters and gradients: 2 + 12 + 4; the teacher's weights 2.
        ("none", 18, 2),
        ("optimizer", 18, 2),  # its step needs everything at once
        ("teacher", 18, 0),  # at its scoring the gradients are gone
        ("both", 18, 0),
    ],
)
def test_what_is_offloaded_is_not_needed_beside_the_largest_phase(
    offload, bytes_of_student, bytes_of_teacher, settings_factory
):
    spec = distillation(compute={"dtype": "bfloat16", "offload": offload})
    found = check(spec, settings_factory())
    student, teacher = (
        facts.architecture.parameter_counts().total for facts in (found.student, found.teacher)
    )
    floor = memory_floor_bytes(spec, student=found.student, teacher=found.teacher)
    assert floor == bytes_of_student * student + bytes_of_teacher * teacher


def test_an_evaluation_needs_its_weights_in_the_narrowest_dtype(settings_factory):
    spec = EvaluationJobSpec.model_validate(
        {
            "kind": "evaluation",
            "model": TEACHER,
            "max_prompt_tokens": 64,
            "evaluation": {
                "benchmarks": [{"name": "digits", "problems": {"source": "arithmetic"}}],
                "max_response_tokens": 112,
            },
        }
    )
    found = check_evaluation(spec, settings_factory()).model
    num_parameters = found.architecture.parameter_counts().total
    assert evaluation_memory_floor_bytes(spec, found) == 2 * num_parameters
    on_cpu = spec.model_copy(update={"compute": spec.compute.model_copy(update={"device": "cpu"})})
    assert evaluation_memory_floor_bytes(on_cpu, found) == 4 * num_parameters


def test_what_only_the_worker_can_read_is_not_known(settings_factory):
    spec = distillation()
    found = check(spec, settings_factory())
    assert memory_floor_bytes(spec, student=None, teacher=found.teacher) is None
    assert memory_floor_bytes(spec, student=found.student, teacher=None) is None
