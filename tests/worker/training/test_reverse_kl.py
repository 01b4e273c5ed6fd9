"""The distance to the teacher, against sums over whole logits in float64, and beside a training that it must not touch."""

import pytest
import torch

import worker.training.reverse_kl as subject
from service.jobs.loss_spec import GateSpec, SampledTokenObjective
from service.jobs.records import KlEstimator
from tests.worker.training.rank_runs import make_trainer, measured_requests, train
from tests.worker.training.tiny_models import CPU, RULES, random_rollouts, tiny_qwen3
from worker.training.batching import TokenRules, cut_into_micro_batches
from worker.training.head import TeacherScores
from worker.training.reverse_kl import estimator_of, full_vocabulary_kl, reverse_kl_of_responses
from worker.training.teacher import LocalTeacher


def batches_of(rollouts, *, rules=RULES, is_packed=False):
    return cut_into_micro_batches(
        rollouts,
        gate=GateSpec(block_size=4),
        rules=rules,
        drift_map_block_size=4,
        max_tokens=60,
        device=CPU,
        is_packed=is_packed,
    )


def local(model):
    return LocalTeacher(model, objective=SampledTokenObjective())


@torch.no_grad()
def literal(rollout, student, teacher, *, masked=frozenset()):
    """Nats of every valid token, each by a sum over the vocabulary of a whole forward pass."""
    prompt, response = rollout.prompt_token_ids, rollout.response.token_ids
    ids = torch.tensor([[*prompt, *response]])
    log_p, log_q = (model(ids).logits[0].log_softmax(-1) for model in (student, teacher))
    kl = (log_p.exp() * (log_p - log_q)).sum(-1)
    places = [place for place, token in enumerate(response) if token not in masked]
    return [kl[len(prompt) - 1 + place].item() for place in places]


class Told:
    """A teacher of which only the log-probs of sampled tokens are known, as of one on a server."""

    def __init__(self, model):
        self._local = local(model)

    def score(self, batches) -> list[TeacherScores]:
        return self._local.score(batches)


@pytest.mark.parametrize("tied", [True, False])
def test_it_is_the_sum_over_the_vocabulary_at_every_valid_token_of_each_response(tied, monkeypatch):
    # Two tokens of 29 logits at a time: responses are cut by the chunks.
    monkeypatch.setattr(subject, "chunk_tokens", lambda _head: 2 * subject.LOGITS_OF_A_CHUNK)
    student, teacher = tiny_qwen3(1, tied=tied), tiny_qwen3(2, tied=tied)
    masked = frozenset({7, 11})
    rules = TokenRules(RULES.pad_token_id, masked, RULES.newline_token_ids)
    rollouts = random_rollouts(3)

    found = reverse_kl_of_responses(
        batches_of(rollouts, rules=rules), student=student, teacher=local(teacher)
    )

    longest_first = sorted(rollouts, key=lambda each: -each.num_tokens)
    expected = [literal(each, student, teacher, masked=masked) for each in longest_first]
    expected = [nats for nats in expected if nats]
    assert [each.num_tokens for each in found] == [len(nats) for nats in expected]
    assert [each.nats for each in found] == pytest.approx([sum(nats) for nats in expected])
    assert min(each.nats for each in found) > 0.1
    assert estimator_of(local(teacher)) is KlEstimator.FULL_VOCABULARY


def test_a_student_is_at_no_distance_to_itself():
    found = reverse_kl_of_responses(
        batches_of(random_rollouts(3)), student=tiny_qwen3(1), teacher=local(tiny_qwen3(1))
    )
    assert {each.nats for each in found} == {0.0}


def test_a_token_that_the_student_rules_out_adds_nothing_and_one_that_the_teacher_does_everything():
    # Hidden state 1 and heads of one column: the logits are the heads. ½ · log(½ / ¼) · 2 = log 2, and tokens without
    # a chance are left out.
    hidden = torch.ones(1, 1)
    none = -float("inf")
    student = torch.tensor([[0.0], [0.0], [none], [none]])
    even, without_first = torch.zeros(4, 1), torch.tensor([[none], [0.0], [0.0], [0.0]])
    finite = full_vocabulary_kl(hidden, student, hidden, even)
    assert finite.item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert full_vocabulary_kl(hidden, student, hidden, without_first).item() == float("inf")


def test_of_a_teacher_elsewhere_the_sampled_tokens_are_compared():
    student, teacher = tiny_qwen3(1), tiny_qwen3(2)
    batches = batches_of(random_rollouts(3), is_packed=False)

    found = reverse_kl_of_responses(batches, student=student, teacher=Told(teacher))

    with torch.no_grad():
        expected = sum(
            (log_p - log_q).sum().item()
            for batch in batches
            for log_p, log_q in [
                [
                    model(batch.input_ids_BS)
                    .logits.flatten(0, 1)[batch.positions_N]
                    .log_softmax(-1)
                    .gather(1, batch.tokens_N[:, None])
                    for model in (student, teacher)
                ]
            ]
        )
    assert sum(each.nats for each in found) == pytest.approx(expected)
    assert estimator_of(Told(teacher)) is KlEstimator.SAMPLED_TOKEN


def test_what_is_measured_between_two_steps_changes_no_bit_of_the_training(tmp_path):
    case = "published block gate"
    undisturbed, measured = make_trainer(case), make_trainer(case)
    requests = measured_requests(measured)
    torch.manual_seed(5)
    state = torch.get_rng_state()

    first = measured.reverse_kl(requests)
    train(measured, tmp_path / "measured")
    last = measured.reverse_kl(requests)
    train(undisturbed, tmp_path / "undisturbed")

    assert torch.equal(torch.get_rng_state(), state)
    assert undisturbed.reverse_kl(requests) == last
    assert first != last
    for file in ("model.safetensors", "optimizer.safetensors"):
        mine, theirs = (tmp_path / name / file for name in ("measured", "undisturbed"))
        assert mine.read_bytes() == theirs.read_bytes()
