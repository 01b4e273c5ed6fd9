"""What the gate itself costs inside an update: its share of the update's CPU time.

Every call of the gate's own functions is timed where the update makes it: weights of each chunk,
chunk boundaries, and the normaliser that is applied to all gradients at the end.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from transformers import PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from benchmarks.trainer.arithmetic_models import fresh_model
from benchmarks.trainer.head_problem import BLOCK_GATE, BLOCK_SIZE, VOCABULARY_SIZE, spec_of
from benchmarks.trainer.rows import Row, row
from service.jobs.loss_spec import GateSpec, SampledTokenObjective
from worker.rollouts.engine import FinishReason, Response
from worker.training import update
from worker.training.batching import Rollout, TokenRules, cut_into_micro_batches
from worker.training.head import TeacherScores
from worker.training.update import ScoredMicroBatch, accumulate_gradient, log_probs_of
from worker.training.weighing import Weighing

NUM_RESPONSES, PROMPT_TOKENS, RESPONSE_TOKENS = 4, 64, 256
MICRO_BATCH_TOKENS = 2 * (PROMPT_TOKENS + RESPONSE_TOKENS)
GATE_CALLS = (
    (Weighing, "weights"),
    (update, "chunks_of_whole_units"),
    (update, "_normalise"),
    (update, "_gate_beforehand"),
)


def gate_rows(*, repeats: int) -> list[Row]:
    realistic, demo = small_qwen(), fresh_model("student")
    return [
        row("gate.share_of_update", gate_share(realistic, BLOCK_GATE, repeats), "ratio"),
        row(
            "gate.share_of_update.demo_student",
            gate_share(demo, GateSpec(block_size=16), repeats),
            "ratio",
        ),
    ]


def small_qwen() -> PreTrainedModel:
    """A Qwen3 of 43 million parameters, most of them its vocabulary of 151,936."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY_SIZE,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
    )
    return Qwen3ForCausalLM(config).eval()


def gate_share(student: PreTrainedModel, gate: GateSpec, repeats: int) -> float:
    """Median share over updates at drifted weights."""
    minibatch = drifted_minibatch(student, gate)
    spec = spec_of(SampledTokenObjective(), gate)
    shares = []
    for repeat in range(repeats + 1):
        student.zero_grad()
        with gate_seconds() as spent:
            started = time.process_time()
            accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=repeat)
            whole = time.process_time() - started
        shares.append(sum(spent) / whole)
    return statistics.median(shares[1:])


def drifted_minibatch(student: PreTrainedModel, gate: GateSpec) -> list[ScoredMicroBatch]:
    """Two micro-batches whose tokens have drifted by 0.02 nats."""
    generator = torch.Generator().manual_seed(0)

    def token_ids(num_tokens: int) -> tuple[int, ...]:
        size = student.config.vocab_size
        return tuple(torch.randint(size, (num_tokens,), generator=generator).tolist())

    rollouts = [
        Rollout(token_ids(PROMPT_TOKENS), Response(token_ids(RESPONSE_TOKENS), FinishReason.LENGTH))
        for _ in range(NUM_RESPONSES)
    ]
    batches = cut_into_micro_batches(
        rollouts,
        gate=gate,
        rules=TokenRules(0, frozenset(), frozenset()),
        drift_map_block_size=BLOCK_SIZE,
        max_tokens=MICRO_BATCH_TOKENS,
        device=torch.device("cpu"),
    )
    minibatch = []
    for batch in batches:
        old_N = log_probs_of(student, batch)
        noise_N = torch.randn(len(old_N), generator=generator)
        teacher = TeacherScores(old_N + 0.5 * noise_N, None, None)
        minibatch.append(ScoredMicroBatch(batch, teacher, old_N + 0.02 * noise_N))
    return minibatch


@contextmanager
def gate_seconds() -> Iterator[list[float]]:
    """CPU seconds of every call of the gate while the context is open."""
    spent: list[float] = []

    def timed(function: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            started = time.process_time()
            result = function(*args, **kwargs)
            spent.append(time.process_time() - started)
            return result

        return call

    patches = [patch.object(owner, name, timed(getattr(owner, name))) for owner, name in GATE_CALLS]
    for each in patches:
        each.start()
    try:
        yield spent
    finally:
        for each in patches:
            each.stop()
