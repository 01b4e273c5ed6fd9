"""The parts of the real model's run that have a right answer, on tiny models."""

import math

import pytest
import torch

from benchmarks.real_model.figures import Figures, StepFigures, step_figures
from benchmarks.real_model.measures import Text, perplexity, reverse_kl
from benchmarks.real_model.pruning import prune_layers
from tests.model_families import llama
from worker.training.models import load_causal_lm

TEXTS = (Text(prompt=(3, 4), response=(5, 6, 7)), Text(prompt=(8,), response=(9,)))


def uniform_model():
    model = llama()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    return model


def test_a_pruned_folder_is_the_model_without_those_layers(tmp_path):
    whole = llama(num_hidden_layers=5, tie_word_embeddings=True).float()
    whole.save_pretrained(tmp_path / "whole")

    num_left = prune_layers(tmp_path / "whole", tmp_path / "pruned", dropped=(1, 3))

    assert num_left == 3
    pruned = load_causal_lm(tmp_path / "pruned", device=torch.device("cpu"), dtype=torch.float32)
    kept = [whole.model.layers[index] for index in (0, 2, 4)]
    whole.model.layers = torch.nn.ModuleList(kept)
    token_ids = torch.tensor([[3, 9, 4, 7]])
    with torch.no_grad():
        expected = whole(token_ids, use_cache=False).logits
        assert torch.equal(pruned(token_ids).logits, expected)


def test_the_perplexity_of_a_uniform_model_is_the_size_of_its_vocabulary():
    assert perplexity(uniform_model(), TEXTS) == pytest.approx(27)


def test_perplexity_is_over_all_tokens_alike():
    model = llama()
    sum_nats = 0.0
    for text in TEXTS:
        token_ids = torch.tensor([[*text.prompt, *text.response]])
        with torch.no_grad():
            log_probs_SV = model(token_ids).logits[0].float().log_softmax(dim=-1)
        places = range(len(text.prompt), token_ids.shape[1])
        sum_nats -= sum(float(log_probs_SV[place - 1, token_ids[0, place]]) for place in places)
    assert perplexity(model, TEXTS) == pytest.approx(math.exp(sum_nats / 4), rel=1e-5)


def test_reverse_kl_is_zero_to_itself_and_to_a_uniform_model_what_entropy_lacks():
    model = llama()
    assert reverse_kl(model, model, TEXTS) == pytest.approx(0, abs=1e-6)
    # KL(p ‖ uniform) = log V − H(p), which is the mean over the four tokens.
    entropies = []
    for text in TEXTS:
        token_ids = torch.tensor([[*text.prompt, *text.response[:-1]]])
        with torch.no_grad():
            log_probs_SV = model(token_ids).logits[0].float().log_softmax(dim=-1)
        log_probs_TV = log_probs_SV[-len(text.response) :]
        entropies += (-(log_probs_TV.exp() * log_probs_TV).sum(dim=-1)).tolist()
    expected = math.log(27) - sum(entropies) / 4
    assert reverse_kl(model, uniform_model(), TEXTS) == pytest.approx(expected, rel=1e-4)


def test_a_step_has_the_seconds_of_all_its_updates_and_its_rollout_once():
    columns = {
        "train/loss": (0.7, 0.6, 0.4),
        "objective/teacher_log_ratio": (0.9, 0.8, 0.5),
        "rollout/response_tokens": (64.0, None, 60.0),
        "rollout/seconds": (3.0, None, 2.0),
        "score/seconds": (1.0, None, 1.5),
        "train/update_seconds": (4.0, 5.0, 6.0),
    }

    first, second = step_figures(columns, steps=(1, 1, 2))

    seconds = {"rollout": 3.0, "scoring": 1.0, "updates": 9.0}
    assert first == StepFigures(1, 0.7, 0.9, 64.0, seconds)
    assert second.seconds["updates"] == 6.0


def test_what_rose_is_named():
    figures = Figures(
        problems="p",
        num_layers=(3, 5),
        num_parameters=(1, 2),
        steps=[StepFigures(n, kl, 0.0, 1.0, {}) for n, kl in enumerate((3.0, 2.0, 1.0, 1.0))],
        perplexity=(9.0, 9.5),
        reverse_kl=(2.0, 1.0),
    )
    # Three of four steps at either end: means of 2 and of 4/3.
    assert figures.first_and_last_steps() == pytest.approx((2.0, 4 / 3))
    assert figures.fell() == {
        "the loss over the job's steps": True,
        "reverse KL on held-out problems": True,
        "held-out perplexity": False,
    }
