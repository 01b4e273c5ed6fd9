"""Responses sampled by all ranks, each its share, from weights that every rank puts together for the time."""

from collections.abc import Mapping, Sequence

from transformers import PreTrainedModel

from service.jobs.catalog import Metric
from worker.rollouts.engine import Response, RolloutEngine, RolloutRequest, SamplingParams
from worker.training.batching import MicroBatch
from worker.training.distributed import Ranks, Task
from worker.training.distributed_sharding import whole_model, whole_root
from worker.training.head import TeacherScores
from worker.training.teacher import LocalTeacher


class EngineOfAll:
    """All ranks call it at once with the same requests, and all get every response.

    engine: of this rank, sampling from `model` in place.
    """

    def __init__(self, engine: RolloutEngine, *, model: PreTrainedModel, ranks: Ranks) -> None:
        self._engine = engine
        self._model = model
        self._ranks = ranks

    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        mine = share_of(requests, ranks=self._ranks)
        with whole_model(self._model):
            responses = self._engine.generate(mine, sampling=sampling) if mine else []
        everyones = iter(
            response
            for of_rank in self._ranks.gathered(responses)
            for of_request in of_rank
            for response in of_request
        )
        return [[next(everyones) for _ in request.seeds] for request in requests]

    def weights_changed(self) -> None:
        self._engine.weights_changed()

    def synchronize(self) -> Mapping[Metric, float]:
        return self._engine.synchronize()

    def rest(self) -> None:
        self._engine.rest()


class LeadingEngine:
    """The engine of all, for a caller on rank 0 alone: it tells the others to take part.

    task: what they take it for.
    """

    def __init__(self, engine: RolloutEngine, *, task: Task, ranks: Ranks) -> None:
        self._engine = engine
        self._task = task
        self._ranks = ranks

    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        self._ranks.order(self._task, (tuple(requests), sampling))
        return self._engine.generate(requests, sampling=sampling)

    def weights_changed(self) -> None:
        self._engine.weights_changed()

    def synchronize(self) -> Mapping[Metric, float]:
        return self._engine.synchronize()

    def rest(self) -> None:
        self._engine.rest()


def engine_of_ranks(
    engine: RolloutEngine, *, model: PreTrainedModel, ranks: Ranks
) -> RolloutEngine:
    """The engine, or with several ranks that of all of them."""
    return engine if ranks.num_ranks == 1 else EngineOfAll(engine, model=model, ranks=ranks)


def leading_engine(engine: RolloutEngine, *, task: Task, ranks: Ranks) -> RolloutEngine:
    """The engine for what rank 0 alone does, such as an evaluation."""
    return engine if ranks.num_ranks == 1 else LeadingEngine(engine, task=task, ranks=ranks)


class ShardedTeacher(LocalTeacher):
    """A teacher whose model may be sharded: then all ranks score at once, each as many micro-batches."""

    def score(self, batches: Sequence[MicroBatch]) -> list[TeacherScores]:
        with whole_root(self.model):
            return super().score(batches)


def share_of(requests: Sequence[RolloutRequest], *, ranks: Ranks) -> list[RolloutRequest]:
    """Neighbouring samples, as many as the other ranks' or one less; those of a prompt stay together."""
    num_samples = sum(len(request.seeds) for request in requests)
    first, end = (num_samples * rank // ranks.num_ranks for rank in (ranks.rank, ranks.rank + 1))
    share, place = [], 0
    for request in requests:
        seeds = request.seeds[max(first - place, 0) : max(end - place, 0)]
        if seeds:
            share.append(RolloutRequest(request.prompt_token_ids, seeds))
        place += len(request.seeds)
    return share
