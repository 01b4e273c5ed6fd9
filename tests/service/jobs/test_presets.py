from service.jobs.loss_spec import SampledTokenObjective, TeacherTopKObjective
from service.jobs.presets import published_presets
from service.jobs.problem_sources import PublishedSource
from service.jobs.spec import JobSpec


def test_there_are_two_objectives_with_three_gates_each_under_names_that_differ():
    presets = published_presets()

    assert [preset.name for preset in presets] == [
        "sampled-token",
        "sampled-token-block-64",
        "sampled-token-newline-span",
        "teacher-topk",
        "teacher-topk-block-64",
        "teacher-topk-newline-span",
    ]
    assert {(preset.spec.objective.type, preset.spec.gate.granularity) for preset in presets} == {
        (objective, gate)
        for objective in ("sampled_token", "teacher_topk")
        for gate in ("none", "block", "newline_span")
    }


def test_presets_carry_the_published_numbers():
    for preset in published_presets():
        spec = preset.spec
        assert spec.steps == 200
        assert (spec.rollout.prompts_per_step, spec.rollout.samples_per_prompt) == (4, 8)
        assert (spec.rollout.max_prompt_tokens, spec.rollout.max_response_tokens) == (2048, 16_384)
        assert (spec.rollout.temperature, spec.rollout.top_p) == (1.0, 0.9)
        assert (spec.reuse.epochs, spec.reuse.minibatches) == (2, 1)
        assert (spec.optimizer.learning_rate, spec.optimizer.weight_decay) == (2e-6, 0.01)
        assert spec.optimizer.gradient_clip_norm == 1.0
        assert (spec.gate.block_size, spec.gate.strength) == (64, 1.0)
        assert spec.evaluation.samples_per_problem == 8
        assert len(spec.evaluation.benchmarks) == 4
        assert (spec.evaluation.temperature, spec.evaluation.top_p) == (1.0, 0.9)
        assert (spec.evaluation.max_response_tokens, spec.evaluation.k[-1]) == (16_384, 8)
        assert spec.objective in (
            SampledTokenObjective(advantage="frozen", clip_range=0.2, dual_clip=3.0),
            TeacherTopKObjective(k=32),
        )


def test_a_preset_survives_the_way_over_json_and_says_what_to_supply():
    for preset in published_presets():
        assert JobSpec.model_validate_json(preset.spec.model_dump_json()) == preset.spec
        assert preset.spec.teacher.model in preset.description
        assert preset.spec.prompts.problems.name in preset.description
        for benchmark in preset.spec.evaluation.benchmarks:
            assert benchmark.problems == PublishedSource(name=benchmark.name)
            assert benchmark.name in preset.description
