"""What a rank other than 0 does in an attempt: its share of what rank 0 says, and nothing that is recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from service.jobs.spec import ComputeSpec, JobSpec
from worker.attempt import EngineFactory
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.prompts import Prompt
from worker.training.distributed import Ranks, Task
from worker.training.distributed_rollouts import ShardedTeacher, engine_of_ranks
from worker.training.distributed_sharding import shard_model
from worker.training.models import (
    checkpoint_layers,
    compute_device,
    compute_dtype,
    eos_token_ids,
    load_causal_lm,
    load_tokenizer,
)
from worker.training.trainer import Trainer


def follow(ranks: Ranks, *, make_engine: EngineFactory, num_threads: int) -> None:
    """Returns when rank 0 ends the attempt. Raises PeerLostError where rank 0 is gone."""
    torch.set_num_threads(num_threads)
    order = ranks.next_order()
    if order.task is Task.END:
        return
    assert order.task is Task.LOAD
    spec, longest = order.argument
    follower = _Follower(spec, ranks=ranks, make_engine=make_engine, longest=longest)
    while (order := ranks.next_order()).task is not Task.END:
        follower.follow(order.task, order.argument)


class _Follower:
    def __init__(
        self, spec: JobSpec, *, ranks: Ranks, make_engine: EngineFactory, longest: int
    ) -> None:
        self._spec = spec
        self._ranks = ranks
        self._make_engine = make_engine
        self._longest = longest
        self._device = compute_device(spec.compute)
        self._dtype = compute_dtype(spec.compute, self._device)
        self._tokenizer: Any = None
        self._end_tokens: frozenset[int] = frozenset()
        self._student: PreTrainedModel | None = None
        self._teacher: ShardedTeacher | None = None
        self._engines: dict[Task, RolloutEngine] = {}
        self._trainer: Trainer | None = None

    def follow(self, task: Task, argument: Any) -> None:
        match task:
            case Task.LOAD_STUDENT:
                self._load_student(argument)
            case Task.LOAD_TEACHER:
                self._load_teacher(argument)
            case Task.TRAIN:
                self._start_training(argument)
            case Task.SAMPLE_STUDENT | Task.SAMPLE_TEACHER:
                requests, sampling = argument
                self._engines[task].generate(requests, sampling=sampling)
            case _:
                assert self._trainer is not None
                self._trainer.follow(task, argument)

    def _load_student(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._student = load_causal_lm(folder, device=self._device, dtype=self._dtype)
        if self._spec.compute.gradient_checkpointing:
            checkpoint_layers(self._student)
        self._end_tokens = eos_token_ids(self._student, self._tokenizer)
        self._engines[Task.SAMPLE_STUDENT] = self._engine_of(self._student)
        shard_model(self._student, ranks=self._ranks, device=self._device)

    def _load_teacher(self, folder: Path) -> None:
        teacher = load_causal_lm(folder, device=self._device, dtype=self._dtype)
        teacher.requires_grad_(requires_grad=False)
        self._engines[Task.SAMPLE_TEACHER] = self._engine_of(teacher)
        shard_model(teacher, ranks=self._ranks, device=self._device)
        self._teacher = ShardedTeacher(teacher, objective=self._spec.objective)

    def _start_training(self, prompts: Sequence[Prompt]) -> None:
        assert self._student is not None
        assert self._teacher is not None
        self._trainer = Trainer(
            self._spec,
            student=self._student,
            teacher=self._teacher,
            tokenizer=self._tokenizer,
            prompts=prompts,
            engine=self._engines[Task.SAMPLE_STUDENT],
            device=self._device,
            ranks=self._ranks,
        )

    def _engine_of(self, model: PreTrainedModel) -> RolloutEngine:
        engine = self._make_engine(
            model,
            self._tokenizer,
            self._end_tokens,
            compute_of_ranks(self._spec.compute, ranks=self._ranks),
            self._device,
            self._longest,
        )
        return engine_of_ranks(engine, model=model, ranks=self._ranks)


def compute_of_ranks(compute: ComputeSpec, *, ranks: Ranks) -> ComputeSpec:
    """With several ranks the responses are those of the student in place."""
    if ranks.num_ranks == 1:
        return compute
    return compute.model_copy(update={"engine": "transformers"})
