"""Teacher support: exactly K tokens, ties to the lowest ids."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.training.head import teacher_scores, top_k_lowest_ids


def test_a_tie_at_the_edge_goes_to_the_lowest_ids() -> None:
    logits_CV = torch.tensor([[1.0, 2.0, 2.0, 3.0, 2.0]])
    assert top_k_lowest_ids(logits_CV, k=3).tolist() == [[1, 2, 3]]


@given(st.lists(st.integers(0, 3), min_size=4, max_size=12), st.integers(1, 4))
def test_the_support_is_the_stable_order_by_falling_logit(logits: list[int], k: int) -> None:
    stable = sorted(range(len(logits)), key=lambda token: (-logits[token], token))[:k]
    chosen = top_k_lowest_ids(torch.tensor([logits], dtype=torch.float32), k=k)
    assert chosen.tolist() == [sorted(stable)]


def test_scores_are_log_probabilities_of_the_whole_vocabulary() -> None:
    hidden_NH = torch.eye(2)
    head_VH = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0]])
    # Logits are the columns of the head: (0, 2, 1) and (1, 0, 3).
    scores = teacher_scores(hidden_NH, head_VH, torch.tensor([1, 0]), k=2)
    log_probs = torch.log_softmax(head_VH.T, dim=-1)
    torch.testing.assert_close(scores.log_probs_N, log_probs[[0, 1], [1, 0]])
    assert scores.support_NK.tolist() == [[1, 2], [0, 2]]
    expected = torch.stack([log_probs[0, [1, 2]], log_probs[1, [0, 2]]])
    torch.testing.assert_close(scores.support_log_probs_NK, expected)
