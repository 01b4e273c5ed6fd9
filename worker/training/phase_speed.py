"""How fast each phase of a step was: tokens a second, and the share of the device's peak that was model FLOPs."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from service.jobs.catalog import Metric
from service.jobs.loss_spec import Objective
from service.jobs.records import SampleRecord
from worker.training.batching import MicroBatch, Rollout
from worker.training.distributed import Ranks
from worker.training.model_flops import (
    forward_flops,
    model_shape,
    sampled_sequences,
    update_flops,
    whole_sequences,
)
from worker.training.peak_rate import peak_flops_per_second

Speed = dict[Metric, float]


class PhaseSpeed:
    """Of all ranks together: the peak is that of as many devices. All ranks must ask at once.

    teacher: None where a server scores, whose share of a phase's work is not these devices'.
    """

    def __init__(
        self,
        student: PreTrainedModel,
        teacher: PreTrainedModel | None,
        *,
        device: torch.device,
        ranks: Ranks,
    ) -> None:
        self._student = model_shape(student)
        self._teacher = None if teacher is None else model_shape(teacher)
        self._ranks = ranks
        self._peak = peak_flops_per_second(device, student.dtype) * ranks.num_ranks

    def rollouts(self, rollouts: Sequence[Rollout], *, seconds: float) -> Speed:
        """Response tokens of all ranks' rollouts; a prompt's FLOPs count once for all its samples."""
        num_tokens = sum(len(each.response.token_ids) for each in rollouts)
        sequences = sampled_sequences(
            [
                (each.prompt_token_ids, len(each.prompt_token_ids), len(each.response.token_ids))
                for each in rollouts
            ]
        )
        flops = forward_flops(self._student, sequences, num_head_tokens=num_tokens)
        return {
            Metric.ROLLOUT_TOKENS_PER_SECOND: num_tokens / seconds,
            Metric.ROLLOUT_MFU: self._share_of_peak(flops, seconds),
        }

    def scoring(self, minibatches: Sequence[Sequence[MicroBatch]], *, seconds: float) -> Speed:
        """Prompt and response tokens of this rank: of the teacher all, of the student all but the first minibatch's.

        Without a teacher of its own there is no share of the peak.
        """
        by_teacher = [batch for minibatch in minibatches for batch in minibatch]
        by_student = [batch for minibatch in minibatches[1:] for batch in minibatch]
        num_tokens = self._over_ranks(sum(sum(batch.sequence_lengths) for batch in by_teacher))
        speed = {Metric.SCORE_TOKENS_PER_SECOND: num_tokens / seconds}
        if self._teacher is not None:
            flops = sum(
                forward_flops(
                    shape,
                    whole_sequences(batch.sequence_lengths),
                    num_head_tokens=batch.num_tokens,
                )
                for shape, batches in ((self._teacher, by_teacher), (self._student, by_student))
                for batch in batches
            )
            speed[Metric.SCORE_MFU] = self._share_of_peak(self._over_ranks(flops), seconds)
        return speed

    def update(
        self,
        minibatch: Sequence[MicroBatch],
        *,
        objective: Objective,
        share_observed: float,
        seconds: float,
    ) -> Speed:
        """Prompt and response tokens of this rank's part of the minibatch.

        share_observed: of the valid tokens, those whose log-prob was looked at.
        """
        num_loss_tokens = sum(batch.num_tokens for batch in minibatch)
        sequences = whole_sequences(
            length for batch in minibatch for length in batch.sequence_lengths
        )
        flops = update_flops(
            self._student,
            sequences,
            objective=objective,
            num_loss_tokens=num_loss_tokens,
            num_observed_tokens=round(share_observed * num_loss_tokens),
        )
        return {
            Metric.UPDATE_TOKENS_PER_SECOND: self._over_ranks(sequences.num_tokens) / seconds,
            Metric.UPDATE_MFU: self._share_of_peak(self._over_ranks(flops), seconds),
        }

    def evaluation(self, samples: Sequence[SampleRecord]) -> Speed:
        """Response tokens of an evaluation of the student, over the seconds that sampling took; of rank 0."""
        seconds = sum(sample.sampling_ms for sample in samples) / 1000
        if not seconds:
            return {}
        num_tokens = sum(sample.response_tokens for sample in samples)
        sequences = sampled_sequences(
            [
                ((each.benchmark, each.position), each.prompt_tokens, each.response_tokens)
                for each in samples
            ]
        )
        flops = forward_flops(self._student, sequences, num_head_tokens=num_tokens)
        return {
            Metric.EVALUATION_TOKENS_PER_SECOND: num_tokens / seconds,
            Metric.EVALUATION_MFU: self._share_of_peak(flops, seconds),
        }

    def _over_ranks(self, amount: float) -> float:
        return sum(self._ranks.gathered(amount))

    def _share_of_peak(self, flops: float, seconds: float) -> float:
        return flops / seconds / self._peak
