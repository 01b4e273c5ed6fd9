"""Gradient fidelity measured in a training: right at depth 0, and nothing of the training is changed."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from service.jobs.records import GradientFidelityRecord, UpdateRecord
from service.jobs.spec import JobSpec, LoraSpec
from tests.worker.training.test_trainer import make_spec, make_trainer, newest, without_times
from worker.attempt_end import StopRequestedError
from worker.builtin_models import character_tokenizer
from worker.rollouts.engine import Response, RolloutEngine, RolloutRequest, SamplingParams
from worker.training.adapter import add_adapter
from worker.training.gradient_fidelity import STALE_REFERENCE, measured_steps
from worker.training.trainer import Trainer
from worker.training.weightings import weightings

SMALL = {
    "steps": 2,
    "reuse": {"epochs": 2},
    "rollout": {
        "prompts_per_step": 2,
        "samples_per_prompt": 2,
        "max_response_tokens": 12,
        "top_p": 1.0,
    },
    "optimizer": {"learning_rate": 3e-3},
}
TOP_K = {"objective": {"type": "teacher_topk", "k": 4}}


def run(
    trainer: Trainer, folder: Path | None = None, *, stop_after: int = 10**9
) -> tuple[list[UpdateRecord], list[GradientFidelityRecord]]:
    """Trains until so many updates are done; with a folder, one inside it for every checkpoint."""
    updates: list[UpdateRecord] = []
    found: list[GradientFidelityRecord] = []
    trainer.train(
        on_update=updates.append,
        on_gradient_fidelity=found.append,
        on_checkpoint=lambda _: folder and trainer.save(folder / f"{trainer.update:03d}"),
        should_stop=lambda: trainer.update >= stop_after,
    )
    return updates, found


def measured(*depths: int, num_batches: int = 1, **changes: object) -> JobSpec:
    """Of a single measured step, it is the second."""
    wanted = {"num_batches": num_batches, "depths": depths, "fresh_samples_per_prompt": 4}
    return make_spec(**SMALL | {"diagnostics": {"gradient_fidelity": wanted}} | changes)


def as_adapter(student: PreTrainedModel) -> None:
    add_adapter(student, spec=LoraSpec(rank=4), seed=3)


def in_halves(student: PreTrainedModel) -> None:
    student.to(torch.bfloat16)


WAYS = {
    "sampled token": ({}, lambda _: None),
    "teacher top-K": (TOP_K | {"reuse": {"epochs": 1, "minibatches": 2}}, lambda _: None),
    "adapters": (TOP_K, as_adapter),
    "bfloat16, offloaded": (TOP_K | {"compute": {"offload": "both"}}, in_halves),
}


def state(trainer: Trainer) -> dict[str, torch.Tensor]:
    weights = trainer._student.state_dict()
    return weights | {f"{name}, kept": each for name, each in trainer._optimizer.tensors().items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_measured_training_ends_as_one_that_is_not_measured(way: str) -> None:
    changes, prepare = WAYS[way]
    plain = make_trainer(make_spec(**SMALL | changes), prepare=prepare)
    expected, nothing = run(plain)
    looked_at = make_trainer(measured(1, num_batches=2, **changes), prepare=prepare)
    updates, found = run(looked_at)

    assert nothing == []
    assert [(each.step, each.update, each.depth) for each in found] == [(1, 1, 1), (2, 3, 1)]
    assert without_times(updates) == without_times(expected)
    ours, theirs = state(looked_at), state(plain)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def found() -> list[GradientFidelityRecord]:
    _, records = run(make_trainer(measured(0, 3)))
    return records


@pytest.fixture(scope="module")
def found_of_top_k() -> list[GradientFidelityRecord]:
    _, records = run(make_trainer(measured(2, **TOP_K)))
    return records


def cosines(record: GradientFidelityRecord) -> dict[str, float]:
    return {each.weighting: each.cosine for each in record.weightings}


def test_every_weighting_is_compared_at_every_depth(found: list[GradientFidelityRecord]) -> None:
    assert [each.depth for each in found] == [0, 3]
    names = [*weightings(measured(0)), STALE_REFERENCE]
    for record in found:
        assert [each.weighting for each in record.weightings] == names
        assert all(-1 <= each.cosine <= 1 for each in record.weightings)
        assert all(each.norm_ratio > 0 for each in record.weightings)
        assert 0 < record.half_cosine < 1
        assert record.reverse_kl_nats > 0
        assert record.num_fresh_tokens > record.num_tokens > 0


def test_without_an_update_no_gate_advantage_or_clip_makes_a_difference(
    found: list[GradientFidelityRecord],
) -> None:
    at_rest = cosines(found[0])
    one = at_rest.pop("job")
    at_rest.pop(STALE_REFERENCE)
    # Dual clip is the exception: c = 3 bounds nothing where the ratio is 1.
    assert at_rest == dict.fromkeys(at_rest, pytest.approx(one, rel=1e-5))


def test_after_updates_they_do(found: list[GradientFidelityRecord]) -> None:
    drifted = cosines(found[1])
    assert abs(drifted["frozen/no_clip/none"] - drifted["recomputed/no_clip/none"]) > 1e-3
    assert drifted["frozen/no_clip/none"] != drifted["frozen/no_clip/token"]
    assert drifted["frozen/no_clip/block"] != drifted["frozen/no_clip/token"]


class RepeatingEngine:
    """Answers every second call as it answered the one before."""

    def __init__(self, engine: RolloutEngine) -> None:
        self._engine = engine
        self._last: list[list[Response]] | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        if self._last is not None:
            last, self._last = self._last, None
            return last
        self._last = self._engine.generate(requests, sampling=sampling)
        return self._last


def test_a_fresh_full_vocabulary_gradient_is_the_reference_itself() -> None:
    # At depth 0 the student is that of the batch, and here its fresh responses are those of the batch.
    wanted = {"num_batches": 1, "depths": [0]}
    trainer = make_trainer(
        make_spec(**SMALL | TOP_K | {"steps": 1, "diagnostics": {"gradient_fidelity": wanted}})
    )
    trainer._engine = RepeatingEngine(trainer._engine)
    _, (record,) = run(trainer)
    aligned = record.weightings[-1]
    assert aligned.weighting == STALE_REFERENCE
    assert record.num_fresh_tokens == record.num_tokens
    assert aligned.cosine == pytest.approx(1.0, abs=1e-6)
    assert aligned.norm_ratio == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_training_measures_the_same_once(
    stop_after: int, found_of_top_k: list[GradientFidelityRecord], tmp_path: Path
) -> None:
    # In the step before the measured one, and inside the measured one.
    _, first = run(make_trainer(measured(2, **TOP_K)), tmp_path, stop_after=stop_after)
    resumed = make_trainer(measured(2, **TOP_K))
    resumed.restore(newest(tmp_path))
    _, rest = run(resumed, tmp_path)
    assert first + rest == found_of_top_k


def test_a_stop_in_a_measurement_leaves_its_step_to_the_next_attempt(
    found_of_top_k: list[GradientFidelityRecord],
) -> None:
    trainer, asked = make_trainer(measured(2, **TOP_K)), []

    def should_stop() -> bool:
        asked.append(trainer.update)
        return asked.count(2) > 6

    with pytest.raises(StopRequestedError):
        trainer.train(
            on_update=lambda _: None,
            on_gradient_fidelity=lambda _: pytest.fail("nothing is told of a part"),
            on_checkpoint=lambda _: None,
            should_stop=should_stop,
        )
    assert (trainer.update, trainer.is_inside_step) == (2, False)
    _, again = run(trainer)
    assert again == found_of_top_k


def test_a_batch_without_a_valid_token_is_not_measured() -> None:
    everything = tuple(range(len(character_tokenizer())))
    _, found = run(make_trainer(measured(2, masked_token_ids=everything)))
    assert found == []


def test_a_loss_that_is_not_finite_on_the_way_ends_the_measurement_and_not_the_job() -> None:
    trainer = make_trainer(measured(0, 3, reuse={"epochs": 1}, steps=1, **TOP_K))
    passes: list[torch.Tensor] = []

    def break_one(gradient: torch.Tensor) -> torch.Tensor:
        passes.append(gradient)
        # At depth 0 two halves, five weightings, and the reference's loss; then three updates to depth 3.
        return gradient * float("nan") if len(passes) == 10 else gradient

    next(trainer._student.parameters()).register_hook(break_one)
    updates, found = run(trainer)
    assert [each.depth for each in found] == [0]
    assert len(updates) == 1


@pytest.mark.parametrize(
    ("steps", "num_batches", "expected"),
    [(200, 2, {50, 150}), (3, 2, {0, 2}), (1, 2, {0}), (2, 8, {0, 1}), (30, 3, {5, 15, 25})],
)
def test_measured_steps_are_the_middles_of_equal_parts(
    steps: int, num_batches: int, expected: set[int]
) -> None:
    spec = make_spec(steps=steps, diagnostics={"gradient_fidelity": {"num_batches": num_batches}})
    assert measured_steps(spec) == expected
    assert measured_steps(make_spec(steps=steps)) == frozenset()
