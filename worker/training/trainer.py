"""On-policy distillation with a policy-drift gate, as a plain library: no SQL, no queue, no environment.

Left out: random state. Every stream is derived from the job's seed and from what it is for, so weights,
optimiser and three counters are all there is to save, with the rollouts and scores of a step that is cut in
the middle, and a resumed run repeats an unbroken one bit for bit on a CPU.

Several ranks each hold a trainer: rank 0's trains, and the others follow it.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.diagnostics_spec import steps_with_token_drift
from service.jobs.records import (
    BlockDrift,
    GradientFidelityRecord,
    SampleRecord,
    TokenDriftRecord,
    UpdateRecord,
)
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from worker.rollouts.engine import RolloutEngine, RolloutRequest
from worker.rollouts.prompts import Prompt
from worker.training.batching import MicroBatch, Rollout, TokenRules, newline_token_ids
from worker.training.cadence import CheckpointCadence
from worker.training.collection import (
    StepMetrics,
    collect_rollouts,
    fresh_rollouts,
    prompts_of_step,
)
from worker.training.diagnostics import drift_by_block, peak_memory_bytes, update_metrics
from worker.training.distributed import ALONE, Ranks, Task, dealt
from worker.training.distributed_sharding import collected, is_sharded, named_tensors, plain
from worker.training.gradient_fidelity import (
    MeasuredStep,
    measure_gradient_fidelity,
    measured_steps,
)
from worker.training.models import pad_token_id
from worker.training.optimizer import StudentOptimizer, learning_rate_at
from worker.training.packing import choose_packing
from worker.training.peak_rate import seconds_since
from worker.training.phase_speed import PhaseSpeed
from worker.training.reverse_kl import ResponseKl, reverse_kl_of_responses
from worker.training.scoring import arrange_micro_batches, cut_evenly, score_minibatches
from worker.training.step_batch import StepBatch, load_step_batch, save_step_batch, scores_of
from worker.training.student_files import restore_student, save_student
from worker.training.teacher import LocalTeacher, Teacher
from worker.training.token_drift import token_drift
from worker.training.update import accumulate_gradient, num_tokens_of

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "trainer_state.json"


@dataclass(slots=True)
class Counters:
    """What is finished: rollout batches, optimiser updates, and the response tokens sampled."""

    step: int = 0
    update: int = 0
    total_tokens: int = 0


class Trainer:
    """Trains `student` in place against `teacher`; `engine` samples from it, and is told what changes.

    With several ranks the student is sharded, and engine and teacher are such that all ranks call at once.
    """

    def __init__(
        self,
        spec: JobSpec,
        *,
        student: PreTrainedModel,
        teacher: Teacher,
        tokenizer: Any,
        prompts: Sequence[Prompt],
        engine: RolloutEngine,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self._spec = spec
        self._ranks = ranks
        self._student = student
        self._teacher = teacher
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._engine = engine
        self._device = device
        self._optimizer = StudentOptimizer(
            student,
            spec=spec.optimizer,
            is_offloaded=spec.compute.offload in {"optimizer", "both"},
        )
        self._counters = Counters()
        self._batch: StepBatch | None = None  # of the step under way
        local_teacher = teacher.model if isinstance(teacher, LocalTeacher) else None
        self._speed = PhaseSpeed(student, local_teacher, device=device, ranks=ranks)
        self._evaluation_speed: StepMetrics = {}  # to be recorded with the next update
        self._steps_with_token_drift = steps_with_token_drift(
            steps=spec.steps,
            updates_per_step=spec.reuse.epochs * spec.reuse.minibatches,
            max_updates=spec.diagnostics.token_drift_updates,
        )
        self._measured_steps = measured_steps(spec)
        self._is_packed = choose_packing(
            spec.compute,
            [student] if local_teacher is None else [student, local_teacher],
            device=device,
        )
        self._rules = TokenRules(
            pad_token_id=pad_token_id(tokenizer),
            masked_token_ids=frozenset(spec.masked_token_ids),
            newline_token_ids=newline_token_ids(tokenizer, vocabulary_size=len(tokenizer)),
        )

    @property
    def step(self) -> int:
        """Rollout batches finished."""
        return self._counters.step

    @property
    def update(self) -> int:
        """Optimiser updates finished."""
        return self._counters.update

    @property
    def is_inside_step(self) -> bool:
        """Whether the step under way has had some of its updates."""
        return self._batch is not None

    def train(
        self,
        *,
        on_update: Callable[[UpdateRecord], None],
        on_step: Callable[[int], None] = lambda _step: None,
        on_gradient_fidelity: Callable[[GradientFidelityRecord], object] = lambda _record: None,
        on_checkpoint: Callable[[bool], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """Runs to the last step, True; or, after `should_stop`, to the end of an update, False.

        `on_step(step)` is called where a step ends; after it `on_checkpoint(final)`, when due and before
        returning.
        `on_gradient_fidelity` is called before the updates of the step that was measured.
        Raises NON_FINITE_LOSS before the weights are touched, and StopRequestedError after `should_stop` in a
        measurement, whose step has then not begun.
        """

        def measure(batch: StepBatch) -> None:
            if self.step in self._measured_steps:
                for record in measure_gradient_fidelity(
                    self._measured_step(batch), should_stop=should_stop
                ):
                    on_gradient_fidelity(record)

        cadence = CheckpointCadence(self._spec.checkpoint.every_steps)
        while self.step < self._spec.steps:
            if self._batch is None:
                self._ranks.order(Task.COLLECT)
                self._batch = self._collect(before_use=measure)
            self._ranks.order(Task.UPDATE)
            on_update(self._update(self._batch))
            if self._ends_step():
                on_step(self.step)
            is_last = self.step == self._spec.steps
            is_due = self._batch is None and cadence.is_due(self.step)
            is_stopping = should_stop() and not is_last
            if is_last or is_due or is_stopping:
                with cadence.timed():
                    on_checkpoint(is_last)
            if is_stopping:
                return False
        return True

    def note_evaluation(self, samples: Sequence[SampleRecord]) -> None:
        """How fast an evaluation of the student was goes with the next update."""
        self._evaluation_speed = self._speed.evaluation(samples)

    def reverse_kl(self, requests: Sequence[RolloutRequest]) -> list[ResponseKl]:
        """Of the student as it is to the teacher, on fresh responses to the requests; the training goes on as if
        nothing had been asked. On all ranks together.
        """
        self._ranks.order(Task.MEASURE, requests)
        shares = self._ranks.gathered(self._measure(requests))
        return [of_response for share in shares for of_response in share]

    def follow(self, task: Task, argument: Any) -> None:
        """Does this rank's part of what rank 0's trainer does."""
        match task:
            case Task.COLLECT:
                self._batch = self._collect()
            case Task.UPDATE:
                assert self._batch is not None
                self._update(self._batch)
                self._ends_step()
            case Task.MEASURE:
                self._ranks.gathered(self._measure(argument))
            case Task.SAVE:
                self._collected_state()
            case Task.RESTORE:
                self._restore(argument)
            case _:
                raise ValueError(f"{task} is no task of a trainer")

    def _ends_step(self) -> bool:
        """Whether the step under way has had all of its updates; then it is over."""
        if self._batch is None or not self._batch.is_used_up:
            return False
        self._counters.step += 1
        self._batch = None
        return True

    def _collect(
        self, *, before_use: Callable[[StepBatch], None] = lambda _batch: None
    ) -> StepBatch:
        """The step's rollouts, dealt and scored."""
        rollouts, metrics = collect_rollouts(
            self._prompts, spec=self._spec, step=self.step, engine=self._engine
        )
        metrics |= self._speed.rollouts(rollouts, seconds=metrics[Metric.ROLLOUT_SECONDS])
        self._engine.rest()
        started = time.perf_counter()
        minibatches = score_minibatches(
            [dealt(part, self._ranks) for part in self._arranged(rollouts)],
            student=self._student,
            teacher=self._teacher,
        )
        metrics[Metric.SCORE_SECONDS] = seconds_since(started, device=self._device)
        metrics |= self._speed.scoring(
            [[scored.batch for scored in part] for part in minibatches],
            seconds=metrics[Metric.SCORE_SECONDS],
        )
        batch = StepBatch(rollouts, minibatches, self._spec.reuse.epochs, metrics)
        before_use(batch)
        # After the teacher and a measurement, which may give up: then the step has not begun.
        self._counters.total_tokens += sum(len(each.response.token_ids) for each in rollouts)
        return batch

    def _measured_step(self, batch: StepBatch) -> MeasuredStep:
        assert isinstance(self._teacher, LocalTeacher), "refused at submission"
        return MeasuredStep(
            spec=self._spec,
            step=self.step,
            num_updates=self.update,
            batch=batch,
            prompts=prompts_of_step(self._prompts, spec=self._spec, step=self.step),
            student=self._student,
            teacher=self._teacher.model,
            optimizer=self._optimizer,
            engine=self._engine,
            arrange=self._arranged_by,
        )

    def _arranged(self, rollouts: Sequence[Rollout]) -> list[list[MicroBatch]]:
        return self._arranged_by(rollouts, self._spec)

    def _arranged_by(self, rollouts: Sequence[Rollout], spec: JobSpec) -> list[list[MicroBatch]]:
        return arrange_micro_batches(
            rollouts,
            spec=spec,
            step=self.step,
            rules=self._rules,
            device=self._device,
            ranks=self._ranks,
            is_packed=self._is_packed,
        )

    def _measure(self, requests: Sequence[RolloutRequest]) -> list[ResponseKl]:
        """The share of this rank."""
        rollouts = fresh_rollouts(requests, spec=self._spec, engine=self._engine)
        self._engine.rest()
        micro_batches = cut_evenly(
            rollouts,
            spec=self._spec,
            rules=self._rules,
            device=self._device,
            ranks=self._ranks,
            is_packed=self._is_packed,
        )
        return reverse_kl_of_responses(
            dealt(micro_batches, self._ranks), student=self._student, teacher=self._teacher
        )

    def _update(self, batch: StepBatch) -> UpdateRecord:
        """One optimiser step; skipped, and recorded as such, where no token is valid."""
        minibatch, step_metrics = batch.next_minibatch()
        started = time.perf_counter()
        self._counters.update += 1
        learning_rate = learning_rate_at(self.update, self._spec.num_updates, self._spec.optimizer)
        metrics = {Metric.NUM_TOKENS: 0.0, Metric.SKIPPED: 1.0}
        blocks: tuple[BlockDrift, ...] = ()
        kept: TokenDriftRecord | None = None
        if num_tokens_of(minibatch, ranks=self._ranks):
            outcome = accumulate_gradient(
                self._student,
                minibatch,
                spec=self._spec,
                shuffle_seed=derive_seed("gate-shuffle", self._spec.seed, self.update),
                ranks=self._ranks,
            )
            gradient_norm = self._optimizer_step(outcome.loss, learning_rate=learning_rate)
            metrics = update_metrics(outcome)
            metrics[Metric.GRADIENT_NORM] = gradient_norm
            blocks = drift_by_block(outcome.drift_N, outcome.block_ids_N)
            if self.step + 1 in self._steps_with_token_drift:
                kept = token_drift(
                    outcome,
                    minibatch,
                    number=(self.update - 1) % self._spec.reuse.minibatches + 1,
                    newline_token_ids=self._rules.newline_token_ids,
                    ranks=self._ranks,
                )
            metrics |= self._speed.update(
                [scored.batch for scored in minibatch],
                objective=self._spec.objective,
                share_observed=len(outcome.drift_N) / outcome.num_tokens,
                seconds=seconds_since(started, device=self._device),
            )
        metrics |= step_metrics | self._evaluation_speed
        self._evaluation_speed = {}
        metrics[Metric.LEARNING_RATE] = learning_rate
        metrics[Metric.TOTAL_TOKENS] = float(self._counters.total_tokens)
        metrics[Metric.PEAK_MEMORY_BYTES] = max(
            self._ranks.gathered(peak_memory_bytes(self._device))
        )
        metrics[Metric.UPDATE_SECONDS] = seconds_since(started, device=self._device)
        return UpdateRecord(
            step=self.step + 1,
            update=self.update,
            metrics=metrics,
            drift_by_block=blocks,
            token_drift=kept,
        )

    def _optimizer_step(self, loss: float, *, learning_rate: float) -> float:
        """Clips, checks and applies the accumulated gradient; returns its norm before clipping."""
        norm = plain(
            torch.nn.utils.clip_grad_norm_(
                self._student.parameters(), self._spec.optimizer.gradient_clip_norm
            )
        ).item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise DriftgateError(
                ErrorCode.NON_FINITE_LOSS,
                f"The loss is {loss} and the gradient norm {norm} in step {self.step + 1}, update "
                f"{self.update}. The weights were left as they were and the last checkpoint is "
                f"kept. A lower optimizer.learning_rate ({self._spec.optimizer.learning_rate:g} "
                f"now), a PPO clip, or compute.dtype float32 usually helps.",
            )
        self._optimizer.step(learning_rate)
        self._engine.weights_changed()
        return norm

    def save(self, folder: Path) -> None:
        """A loadable model folder with its tokenizer, and what a resume needs beside it.

        The same whatever the number of ranks, any other number of which can go on from it.
        """
        self._ranks.order(Task.SAVE)
        # Before anything is written: where the disk is full, the other ranks have done their part.
        state = self._collected_state()
        save_student(self._student, folder, whole=state.student)
        self._tokenizer.save_pretrained(folder)
        save_file(state.optimizer, folder / OPTIMIZER_FILE)
        (folder / STATE_FILE).write_text(json.dumps(asdict(self._counters)))
        if self._batch is not None:
            save_step_batch(self._batch, state.scores, folder)

    def _collected_state(self) -> "_State":
        student = None
        if is_sharded(self._student):
            student = collected(named_tensors(self._student), ranks=self._ranks)
        return _State(
            student=student,
            optimizer=collected(self._optimizer.tensors(), ranks=self._ranks),
            scores={} if self._batch is None else scores_of(self._batch, ranks=self._ranks),
        )

    def restore(self, folder: Path) -> None:
        """Weights, optimiser and counters of a folder that `save` wrote and that all ranks see."""
        self._ranks.order(Task.RESTORE, folder)
        self._restore(folder)

    def _restore(self, folder: Path) -> None:
        restore_student(self._student, folder)
        self._engine.weights_changed()
        self._optimizer.load(load_file(folder / OPTIMIZER_FILE))
        self._counters = Counters(**json.loads((folder / STATE_FILE).read_text()))
        num_updates = self.update % (self._spec.reuse.epochs * self._spec.reuse.minibatches)
        if num_updates:
            self._batch = load_step_batch(
                folder,
                arrange=self._arranged,
                num_epochs=self._spec.reuse.epochs,
                num_updates=num_updates,
                device=self._device,
                ranks=self._ranks,
            )


@dataclass(frozen=True, slots=True)
class _State:
    """What a checkpoint holds beside counters and tokenizer; of several ranks, on rank 0.

    student: None where it is not sharded.
    """

    student: dict[str, Tensor] | None
    optimizer: dict[str, Tensor]
    scores: dict[str, Tensor]
