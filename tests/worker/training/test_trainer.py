"""The training loop on tiny real models: progress, resume, refusal of a broken loss."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from service.jobs.arithmetic import arithmetic_problems
from service.jobs.catalog import Metric
from service.jobs.problem_sources import Problem
from service.jobs.records import UpdateRecord
from service.jobs.spec import JobSpec, LoraSpec
from tests.worker.measured_metrics import MEASURED_ON_THE_MACHINE
from tests.worker.training.proved_checkpoints import prove
from worker.builtin_models import character_tokenizer, small_qwen3
from worker.rollouts.prompts import Prompt, encode_prompts
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.adapter import add_adapter
from worker.training.checkpoints import write_checkpoint
from worker.training.collection import prompts_of_step
from worker.training.models import (
    checkpoint_layers,
    eos_token_ids,
    load_causal_lm,
    load_tokenizer,
)
from worker.training.teacher import LocalTeacher
from worker.training.trainer import Trainer


def make_spec(**changes: object) -> JobSpec:
    spec = {
        "student": {"model": "student"},
        "teacher": {"model": "teacher"},
        "prompts": {"problems": {"source": "arithmetic", "num_problems": 7}},
        "steps": 3,
        "reuse": {"epochs": 2, "minibatches": 2},
        "rollout": {
            "prompts_per_step": 3,
            "samples_per_prompt": 2,
            "max_response_tokens": 20,
            "top_p": 1.0,
        },
        "optimizer": {"learning_rate": 1e-3},
        "gate": {"block_size": 4},
        "drift_map_block_size": 8,
        "checkpoint": {"every_steps": 1},
    }
    return JobSpec.model_validate(spec | changes)


def make_trainer(
    spec: JobSpec,
    *,
    teacher_seed: int = 2,
    prepare: Callable[[PreTrainedModel], None] = lambda _: None,
) -> Trainer:
    tokenizer = character_tokenizer()
    student = small_qwen3(tokenizer, seed=1).eval()
    prepare(student)
    engine = TransformersEngine(
        student,
        eos_token_ids=eos_token_ids(student, tokenizer),
        pad_token_id=0,
        device=torch.device("cpu"),
        max_batch_size=8,
    )
    prompts = encode_prompts(
        arithmetic_problems(spec.prompts.problems, split="training"),
        source=spec.prompts.problems,
        prompt_format=spec.prompts.format,
        tokenizer=tokenizer,
        max_prompt_tokens=64,
        field="prompts",
    )
    return Trainer(
        spec,
        student=student,
        teacher=LocalTeacher(
            small_qwen3(tokenizer, seed=teacher_seed).eval(), objective=spec.objective
        ),
        tokenizer=tokenizer,
        prompts=prompts,
        engine=engine,
        device=torch.device("cpu"),
    )


def run(
    trainer: Trainer, folder: Path, *, stop_after: int = 10**9
) -> tuple[list[UpdateRecord], bool]:
    """Trains until so many updates are done; a folder for every checkpoint, named by its updates."""
    records: list[UpdateRecord] = []
    done = trainer.train(
        on_update=records.append,
        on_checkpoint=lambda _: trainer.save(folder / f"{trainer.update:03d}"),
        should_stop=lambda: trainer.update >= stop_after,
    )
    return records, done


def newest(folder: Path) -> Path:
    return max(folder.iterdir())


@pytest.fixture(scope="module")
def unbroken_runs(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """By objective: the records of a whole run and its final weights."""
    runs = {}
    for objective in ({"type": "sampled_token"}, {"type": "teacher_topk", "k": 4}):
        folder = tmp_path_factory.mktemp("unbroken")
        records, _ = run(make_trainer(make_spec(objective=objective)), folder)
        runs[objective["type"]] = records, load_file(newest(folder) / "model.safetensors")
    return runs


def without_times(records: list[UpdateRecord]) -> list[tuple]:
    return [
        (
            r.step,
            r.update,
            {k: v for k, v in r.metrics.items() if k not in MEASURED_ON_THE_MACHINE},
            r.drift_by_block,
            r.token_drift,
        )
        for r in records
    ]


def test_every_update_is_recorded_with_its_drift_and_gate(tmp_path: Path) -> None:
    records, done = run(make_trainer(make_spec()), tmp_path)
    assert done
    assert [(r.step, r.update) for r in records] == [(1 + u // 4, 1 + u) for u in range(12)]
    first, later = records[0].metrics, records[2].metrics
    assert first[Metric.DRIFT_MEAN_ABS] == 0.0
    assert first[Metric.GATE_STD] == 0.0
    assert first[Metric.GATE_EFFECTIVE_SAMPLE_SIZE] == pytest.approx(1.0)
    assert later[Metric.DRIFT_MEAN_ABS] > 0.0
    assert later[Metric.GATE_STD] > 0.0
    assert sum(block.num_tokens for block in records[2].drift_by_block) == later[Metric.NUM_TOKENS]
    assert Metric.ROLLOUT_SECONDS in records[4].metrics
    assert Metric.ROLLOUT_SECONDS not in records[5].metrics


@pytest.mark.parametrize("stop_after", range(1, 12))
@pytest.mark.parametrize("objective", [{"type": "sampled_token"}, {"type": "teacher_topk", "k": 4}])
def test_a_run_stopped_after_any_update_repeats_an_unbroken_one_bit_for_bit(
    objective: dict, stop_after: int, tmp_path: Path, unbroken_runs: dict
) -> None:
    spec = make_spec(objective=objective)
    whole, expected = unbroken_runs[objective["type"]]
    first, done = run(make_trainer(spec), tmp_path, stop_after=stop_after)
    assert not done
    resumed = make_trainer(spec)
    resumed.restore(newest(tmp_path))
    assert resumed.update == len(first) == stop_after
    rest, _ = run(resumed, tmp_path)
    assert without_times(first + rest) == without_times(whole)
    actual = load_file(newest(tmp_path) / "model.safetensors")
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


def test_a_bfloat16_student_resumes_bit_for_bit(tmp_path: Path) -> None:
    def halve(student: PreTrainedModel) -> None:
        student.to(torch.bfloat16)

    spec = make_spec(steps=2)
    whole, _ = run(make_trainer(spec, prepare=halve), tmp_path / "whole")
    first, _ = run(make_trainer(spec, prepare=halve), tmp_path / "cut", stop_after=3)
    resumed = make_trainer(spec, prepare=halve)
    resumed.restore(newest(tmp_path / "cut"))
    rest, _ = run(resumed, tmp_path / "cut")
    assert without_times(first + rest) == without_times(whole)
    for file in ("model.safetensors", "optimizer.safetensors"):
        expected = load_file(newest(tmp_path / "whole") / file)
        actual = load_file(newest(tmp_path / "cut") / file)
        assert all(torch.equal(actual[name], expected[name]) for name in expected)


def add_checkpointed_adapter(student: PreTrainedModel) -> None:
    add_adapter(student, spec=LoraSpec(rank=4), seed=3)
    checkpoint_layers(student)


@pytest.mark.parametrize("stop_after", [4, 6])
def test_adapters_resume_bit_for_bit_and_leave_the_weights_below_as_they_were(
    stop_after: int, tmp_path: Path
) -> None:
    # Update 4 ends step 1, update 6 is in the middle of step 2.
    spec = make_spec(optimizer={"learning_rate": 1e-2})
    unbroken = make_trainer(spec, prepare=add_checkpointed_adapter)
    whole, _ = run(unbroken, tmp_path / "whole")
    cut = make_trainer(spec, prepare=add_checkpointed_adapter)
    first, _ = run(cut, tmp_path / "cut", stop_after=stop_after)
    resumed = make_trainer(spec, prepare=add_checkpointed_adapter)
    resumed.restore(newest(tmp_path / "cut"))
    rest, _ = run(resumed, tmp_path / "cut")
    assert without_times(first + rest) == without_times(whole)
    for file in ("model.safetensors", "adapter/adapter_model.safetensors", "optimizer.safetensors"):
        expected = load_file(newest(tmp_path / "whole") / file)
        actual = load_file(newest(tmp_path / "cut") / file)
        assert actual.keys() == expected.keys()
        assert all(torch.equal(actual[name], expected[name]) for name in expected)
    now = unbroken._student.state_dict()
    below = small_qwen3(character_tokenizer(), seed=1).state_dict()
    assert all(
        torch.equal(now.get(name, now.get(name.replace("proj.", "proj.base_layer."))), below[name])
        for name in below
    )


def test_a_schedule_is_applied_recorded_and_resumed(tmp_path: Path) -> None:
    # 12 updates; warm-up over 4, then down to nothing over the other 8.
    schedule = {"type": "linear", "warmup_updates": 4, "final_fraction": 0.0}
    spec = make_spec(optimizer={"learning_rate": 8e-4, "schedule": schedule})
    whole, _ = run(make_trainer(spec), tmp_path / "whole")
    expected = [2e-4, 4e-4, 6e-4, 8e-4, 7e-4, 6e-4, 5e-4, 4e-4, 3e-4, 2e-4, 1e-4, 0.0]
    rates = [record.metrics[Metric.LEARNING_RATE] for record in whole]
    assert rates == pytest.approx(expected)
    resumed = make_trainer(spec)
    resumed.restore(tmp_path / "whole" / "008")
    rest, _ = run(resumed, tmp_path / "resumed")
    assert without_times(rest) == without_times(whole[8:])


def test_an_update_at_rate_zero_moves_no_weight(tmp_path: Path) -> None:
    # Three updates at the rates 1e-3, 5e-4, 0.
    schedule = {"type": "linear", "final_fraction": 0.0}
    spec = make_spec(
        optimizer={"learning_rate": 1e-3, "schedule": schedule}, reuse={"epochs": 1}, steps=3
    )
    run(make_trainer(spec), tmp_path)
    first, second, last = (
        load_file(tmp_path / f"00{update}" / "model.safetensors") for update in (1, 2, 3)
    )
    assert all(torch.equal(last[name], second[name]) for name in second)
    assert any(not torch.equal(second[name], first[name]) for name in first)


def test_a_saved_student_is_a_model_folder_that_loads_and_answers_alike(tmp_path: Path) -> None:
    trainer = make_trainer(make_spec(steps=1))
    run(trainer, tmp_path)
    folder = newest(tmp_path)
    model = load_causal_lm(folder, device=torch.device("cpu"), dtype=torch.float32)
    token_ids = torch.tensor([load_tokenizer(folder).encode("2a+4b*3=?")])
    with torch.no_grad():
        expected = trainer._student(input_ids=token_ids).logits
        assert torch.equal(model(input_ids=token_ids).logits, expected)


def test_a_broken_loss_fails_naming_the_step_and_leaves_the_weights(tmp_path: Path) -> None:
    trainer = make_trainer(make_spec(objective={"type": "sampled_token", "clip_range": None}))
    run(trainer, tmp_path, stop_after=4)
    before = [parameter.detach().clone() for parameter in trainer._student.parameters()]
    next(trainer._student.parameters()).register_hook(lambda g: g * float("nan"))
    with pytest.raises(DriftgateError, match="in step 2, update 5") as refusal:
        run(trainer, tmp_path)
    assert refusal.value.code is ErrorCode.NON_FINITE_LOSS
    after = list(trainer._student.parameters())
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("num_updates", [4, 6], ids=["fresh rollouts", "reused rollouts"])
@pytest.mark.parametrize("gate", ["none", "block", "sequence"])
@pytest.mark.parametrize(
    "objective", [{"type": "sampled_token"}, {"type": "teacher_topk", "k": 4}], ids=["sampled", "k"]
)
def test_a_student_that_is_all_nan_fails_as_a_broken_loss(
    tmp_path: Path, objective: dict[str, object], gate: str, num_updates: int
) -> None:
    trainer = make_trainer(make_spec(objective=objective, gate={"granularity": gate}))
    run(trainer, tmp_path, stop_after=num_updates)
    with torch.no_grad():
        for parameter in trainer._student.parameters():
            parameter.fill_(float("nan"))
    with pytest.raises(DriftgateError, match=f"update {num_updates + 1}") as refusal:
        run(trainer, tmp_path)
    assert refusal.value.code is ErrorCode.NON_FINITE_LOSS


def test_an_update_without_a_valid_token_is_skipped_and_recorded(tmp_path: Path) -> None:
    everything = tuple(range(len(character_tokenizer())))
    records, done = run(make_trainer(make_spec(masked_token_ids=everything)), tmp_path)
    assert done
    assert {record.metrics[Metric.SKIPPED] for record in records} == {1.0}


def test_each_epoch_asks_every_prompt_once() -> None:
    spec = make_spec()
    prompts = [
        Prompt(Problem(id=f"p{index}", problem="1a+1=?"), token_ids=(3,)) for index in range(6)
    ]
    asked = [
        prompt.problem.id
        for step in range(4)
        for prompt in prompts_of_step(prompts, spec=spec, step=step)
    ]
    assert sorted(asked[:6]) == sorted(asked[6:])
    assert len(set(asked[:6])) == 6


def test_a_checkpoint_folder_is_whole_and_an_altered_one_is_refused(tmp_path: Path) -> None:
    trainer = make_trainer(make_spec())
    folder = tmp_path / "step-000000"
    record = write_checkpoint(trainer.save, folder=folder, step=0, update=0, final=False)
    prove(record)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000"]
    state = folder / "trainer_state.json"
    state.write_text(json.dumps({"step": 9, "update": 9, "total_tokens": 9}))
    with pytest.raises(DriftgateError, match=r"trainer_state\.json") as refusal:
        prove(record)
    assert refusal.value.code is ErrorCode.CHECKPOINT_CORRUPT
    state.unlink()
    with pytest.raises(DriftgateError, match="missing"):
        prove(record)
