"""A loss head to compare on: hidden states, a head of Qwen3's vocabulary, targets of both objectives.

The student is a stand-in whose decoder returns given hidden states, so that what is measured is the
product's own update with nothing below the head.

Legend: N tokens; H hidden; V vocabulary; K teacher support.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from service.jobs.loss_spec import GateSpec, Granularity, Objective, TeacherTopKObjective
from service.jobs.problem_sources import ArithmeticSource, PromptsSpec
from service.jobs.spec import JobSpec
from service.jobs.spec_fields import ModelSpec
from service.jobs.teacher_spec import TeacherSpec
from worker.training.batching import MicroBatch
from worker.training.gate import Units
from worker.training.head import TeacherScores, sampled_log_probs, teacher_scores
from worker.training.update import ScoredMicroBatch, accumulate_gradient

VOCABULARY_SIZE = 151_936
BLOCK_SIZE = 64
SUPPORT_SIZE = 64
BLOCK_GATE = GateSpec(block_size=BLOCK_SIZE)
NO_GATE = GateSpec(granularity=Granularity.NONE)
CPU = torch.device("cpu")


class HeadOnlyStudent(nn.Module):
    """Hidden states [1, N, H] as a parameter, and a head [V, H]."""

    def __init__(self, hidden_NH: Tensor, head_VH: Tensor) -> None:
        super().__init__()
        self.hidden_1NH = nn.Parameter(hidden_NH[None])
        self.head_VH = nn.Parameter(head_VH)

    @property
    def device(self) -> torch.device:
        return self.head_VH.device

    def get_decoder(self) -> object:
        return lambda **_: SimpleNamespace(last_hidden_state=self.hidden_1NH)

    def get_output_embeddings(self) -> object:
        return SimpleNamespace(weight=self.head_VH)


@dataclass(slots=True)
class HeadProblem:
    """One minibatch at the head, as every variant is given it."""

    student: HeadOnlyStudent
    teacher_hidden_NH: Tensor
    teacher_head_VH: Tensor
    batch: MicroBatch
    old_log_probs_N: Tensor
    teacher: TeacherScores

    @property
    def num_tokens(self) -> int:
        return self.batch.num_tokens

    def update(self, objective: Objective, gate: GateSpec) -> None:
        """The product's own update: loss, gate and gradients."""
        scored = ScoredMicroBatch(self.batch, self.teacher, self.old_log_probs_N)
        accumulate_gradient(self.student, [scored], spec=spec_of(objective, gate), shuffle_seed=0)

    def score(self, objective: Objective) -> None:
        """The product's own teacher scoring, from the teacher's hidden states."""
        k = objective.k if isinstance(objective, TeacherTopKObjective) else None
        self.teacher = teacher_scores(
            self.teacher_hidden_NH, self.teacher_head_VH, self.batch.tokens_N, k=k
        )


def head_problem(
    num_tokens: int,
    hidden_size: int,
    *,
    vocabulary_size: int = VOCABULARY_SIZE,
    device: torch.device = CPU,
    dtype: torch.dtype = torch.float32,
) -> HeadProblem:
    """Random and fixed; the drift is 0.02 nats a token, within every clip, so no row is left out."""
    generator = torch.Generator(device).manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    student = HeadOnlyStudent(
        normal(num_tokens, hidden_size).to(dtype),
        normal(vocabulary_size, hidden_size).mul_(0.05).to(dtype),
    )
    student.head_VH.grad_dtype = torch.promote_types(dtype, torch.float32)  # as the trainer's own
    teacher_hidden_NH = normal(num_tokens, hidden_size).to(dtype)
    teacher_head_VH = normal(vocabulary_size, hidden_size).mul_(0.05).to(dtype)
    tokens_N = torch.randint(vocabulary_size, (num_tokens,), generator=generator, device=device)
    log_probs_N = sampled_log_probs(student.hidden_1NH.detach()[0], student.head_VH, tokens_N)
    positions_N = torch.arange(num_tokens, device=device)
    unit_ids_N = positions_N // BLOCK_SIZE
    batch = MicroBatch(
        input_ids_BS=tokens_N[None],
        positions_N=positions_N,
        tokens_N=tokens_N,
        units=Units(unit_ids_N, torch.zeros_like(unit_ids_N[::BLOCK_SIZE])),
        block_ids_N=unit_ids_N,
        sequence_lengths=(num_tokens,),
    )
    support_NK = torch.randint(
        vocabulary_size, (num_tokens, SUPPORT_SIZE), generator=generator, device=device
    )
    teacher = TeacherScores(
        log_probs_N=log_probs_N + 0.5 * normal(num_tokens),
        support_NK=support_NK,
        support_log_probs_NK=normal(num_tokens, SUPPORT_SIZE),
    )
    old_log_probs_N = log_probs_N + 0.02 * normal(num_tokens)
    return HeadProblem(student, teacher_hidden_NH, teacher_head_VH, batch, old_log_probs_N, teacher)


def spec_of(objective: Objective, gate: GateSpec) -> JobSpec:
    """A job with nothing else set."""
    return JobSpec(
        student=ModelSpec(model="builtin/arithmetic-student"),
        teacher=TeacherSpec(model="builtin/arithmetic-teacher"),
        prompts=PromptsSpec(problems=ArithmeticSource()),
        objective=objective,
        gate=gate,
    )
