"""The trainer with an engine that samples from a copy: what it is told suffices to sample as in place."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import torch

from service.jobs.catalog import Metric
from tests.worker.training.test_trainer import make_spec, make_trainer, newest, run, without_times
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import eos_token_ids
from worker.training.trainer import Trainer


class CopiedEngine:
    """Renews its copy of the model where it was told of a change, and counts its renewals and rests."""

    def __init__(self, model, tokenizer) -> None:
        self.model = model
        self.copy = deepcopy(model)
        self.engine = TransformersEngine(
            self.copy,
            eos_token_ids=eos_token_ids(model, tokenizer),
            pad_token_id=0,
            device=torch.device("cpu"),
            max_batch_size=8,
        )
        self.is_current = True
        self.num_renewals = self.num_rests = 0

    def generate(self, requests, *, sampling):
        self.synchronize()
        return self.engine.generate(requests, sampling=sampling)

    def weights_changed(self) -> None:
        self.is_current = False

    def synchronize(self) -> Mapping[Metric, float]:
        if self.is_current:
            return {}
        self.copy.load_state_dict(self.model.state_dict())
        self.is_current = True
        self.num_renewals += 1
        return {Metric.PARITY_GAP: float(self.num_renewals)}

    def rest(self) -> None:
        self.num_rests += 1


def with_copied_engine(trainer: Trainer) -> Trainer:
    trainer._engine = CopiedEngine(trainer._student, trainer._tokenizer)
    return trainer


def without_gaps(records) -> list:
    for record in records:
        record.metrics.pop(Metric.PARITY_GAP, None)
    return without_times(records)


def test_a_copy_that_is_renewed_once_a_step_trains_bit_for_bit_as_in_place(tmp_path: Path) -> None:
    in_place, _ = run(make_trainer(make_spec()), tmp_path / "in-place")
    trainer = with_copied_engine(make_trainer(make_spec()))

    copied, _ = run(trainer, tmp_path / "copied")

    # Three steps of four updates: the first is sampled from the weights as they were loaded.
    gaps = {record.update: record.metrics.get(Metric.PARITY_GAP) for record in copied}
    assert {update: gap for update, gap in gaps.items() if gap} == {5: 1.0, 9: 2.0}
    assert trainer._engine.num_rests == 3
    assert without_gaps(copied) == without_times(in_place)


def test_a_copy_is_renewed_after_a_restore(tmp_path: Path) -> None:
    whole, _ = run(make_trainer(make_spec()), tmp_path / "whole")
    first, _ = run(make_trainer(make_spec()), tmp_path / "cut", stop_after=4)
    trainer = with_copied_engine(make_trainer(make_spec()))
    trainer.restore(newest(tmp_path / "cut"))

    rest, _ = run(trainer, tmp_path / "rest")

    assert rest[0].metrics[Metric.PARITY_GAP] == 1.0
    assert without_times(first) + without_gaps(rest) == without_times(whole)
