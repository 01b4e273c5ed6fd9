"""On-policy distillation with a policy-drift gate, as a plain library: no SQL, no queue, no environment.

Left out: random state. Every stream is derived from the job's seed and from what it is for, so weights,
optimiser and three counters are all there is to save, with the rollouts and scores of a step that is cut in
the middle, and a resumed run repeats an unbroken one bit for bit on a CPU.
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
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.records import BlockDrift, UpdateRecord
from service.jobs.seeds import derive_seed
from service.jobs.spec import JobSpec
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.prompts import Prompt
from worker.training.batching import MicroBatch, Rollout, TokenRules, newline_token_ids
from worker.training.collection import collect_rollouts
from worker.training.diagnostics import drift_by_block, peak_memory_bytes, update_metrics
from worker.training.models import pad_token_id
from worker.training.optimizer import StudentOptimizer, learning_rate_at
from worker.training.scoring import arrange_micro_batches, score_minibatches
from worker.training.step_batch import StepBatch, load_step_batch, save_step_batch
from worker.training.student_files import restore_student, save_student
from worker.training.update import accumulate_gradient

OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "trainer_state.json"


@dataclass(slots=True)
class Counters:
    """What is finished: rollout batches, optimiser updates, and the response tokens sampled."""

    step: int = 0
    update: int = 0
    total_tokens: int = 0


class Trainer:
    """Trains `student` in place against `teacher`; `engine` samples from that same student."""

    def __init__(
        self,
        spec: JobSpec,
        *,
        student: PreTrainedModel,
        teacher: PreTrainedModel,
        tokenizer: Any,
        prompts: Sequence[Prompt],
        engine: RolloutEngine,
        device: torch.device,
    ) -> None:
        self._spec = spec
        self._student = student
        self._teacher = teacher
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._engine = engine
        self._device = device
        self._optimizer = StudentOptimizer(student, spec=spec.optimizer)
        self._counters = Counters()
        self._batch: StepBatch | None = None  # of the step under way
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
        on_checkpoint: Callable[[bool], None],
        should_stop: Callable[[], bool],
    ) -> bool:
        """Runs to the last step, True; or, after `should_stop`, to the end of an update, False.

        `on_step(step)` is called where a step ends; after it `on_checkpoint(final)`, when due and before
        returning.
        Raises NON_FINITE_LOSS before the weights are touched.
        """
        while self.step < self._spec.steps:
            self._batch = batch = self._batch or self._collect()
            on_update(self._update(batch))
            if batch.is_used_up:
                self._counters.step += 1
                self._batch = None
                on_step(self.step)
            is_last = self.step == self._spec.steps
            is_due = self._batch is None and self.step % self._spec.checkpoint.every_steps == 0
            is_stopping = should_stop() and not is_last
            if is_last or is_due or is_stopping:
                on_checkpoint(is_last)
            if is_stopping:
                return False
        return True

    def _collect(self) -> StepBatch:
        """The step's rollouts, dealt and scored."""
        rollouts, metrics = collect_rollouts(
            self._prompts, spec=self._spec, step=self.step, engine=self._engine
        )
        self._counters.total_tokens += sum(len(each.response.token_ids) for each in rollouts)
        started = time.perf_counter()
        minibatches = score_minibatches(
            self._arranged(rollouts), spec=self._spec, student=self._student, teacher=self._teacher
        )
        metrics[Metric.SCORE_SECONDS] = time.perf_counter() - started
        return StepBatch(rollouts, minibatches, self._spec.reuse.epochs, metrics)

    def _arranged(self, rollouts: Sequence[Rollout]) -> list[list[MicroBatch]]:
        return arrange_micro_batches(
            rollouts, spec=self._spec, step=self.step, rules=self._rules, device=self._device
        )

    def _update(self, batch: StepBatch) -> UpdateRecord:
        """One optimiser step; skipped, and recorded as such, where no token is valid."""
        minibatch, step_metrics = batch.next_minibatch()
        started = time.perf_counter()
        self._counters.update += 1
        learning_rate = learning_rate_at(self.update, self._spec.num_updates, self._spec.optimizer)
        metrics = {Metric.NUM_TOKENS: 0.0, Metric.SKIPPED: 1.0}
        blocks: tuple[BlockDrift, ...] = ()
        if any(scored.batch.num_tokens for scored in minibatch):
            outcome = accumulate_gradient(
                self._student,
                minibatch,
                spec=self._spec,
                shuffle_seed=derive_seed("gate-shuffle", self._spec.seed, self.update),
            )
            gradient_norm = self._optimizer_step(outcome.loss, learning_rate=learning_rate)
            metrics = update_metrics(outcome)
            metrics[Metric.GRADIENT_NORM] = gradient_norm
            blocks = drift_by_block(outcome.drift_N, outcome.block_ids_N)
        metrics |= step_metrics
        metrics[Metric.LEARNING_RATE] = learning_rate
        metrics[Metric.TOTAL_TOKENS] = float(self._counters.total_tokens)
        metrics[Metric.PEAK_MEMORY_BYTES] = peak_memory_bytes(self._device)
        metrics[Metric.UPDATE_SECONDS] = time.perf_counter() - started
        return UpdateRecord(
            step=self.step + 1, update=self.update, metrics=metrics, drift_by_block=blocks
        )

    def _optimizer_step(self, loss: float, *, learning_rate: float) -> float:
        """Clips, checks and applies the accumulated gradient; returns its norm before clipping."""
        norm = torch.nn.utils.clip_grad_norm_(
            self._student.parameters(), self._spec.optimizer.gradient_clip_norm
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
        return norm

    def save(self, folder: Path) -> None:
        """A loadable model folder with its tokenizer, and what a resume needs beside it."""
        save_student(self._student, folder)
        self._tokenizer.save_pretrained(folder)
        save_file(self._optimizer.tensors(), folder / OPTIMIZER_FILE)
        (folder / STATE_FILE).write_text(json.dumps(asdict(self._counters)))
        if self._batch is not None:
            save_step_batch(self._batch, folder)

    def restore(self, folder: Path) -> None:
        """Weights, optimiser and counters of a folder that `save` wrote."""
        restore_student(self._student, folder)
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
            )
