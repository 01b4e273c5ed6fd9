"""Every family samples, trains and is counted as what it is: heads, biases, key heads, rotary embeddings."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from benchmarks.gpu.agreement import relative_error
from service.preflight.architecture import read_architecture
from tests.model_families import FAMILIES
from tests.worker.training.tiny_models import CPU
from worker.rollouts.key_value_cache import RoomyCache
from worker.rollouts.lean_decoder import LeanDecoder
from worker.training.fused_norms import fuse_norms
from worker.training.head import hidden_states
from worker.training.models import load_causal_lm

LENGTH = 40  # beyond the 16 original positions of the scaled rotary embeddings
TOKEN_IDS_BS = torch.randint(0, 27, (3, LENGTH), generator=torch.Generator().manual_seed(1))

by_family = pytest.mark.parametrize("make_model", FAMILIES.values(), ids=FAMILIES.keys())


@by_family
def test_decoding_without_modules_gives_the_models_own_logits(
    make_model: Callable[[], PreTrainedModel],
) -> None:
    model = make_model()
    assert LeanDecoder.fits(model)
    decoder, cache = LeanDecoder(model), RoomyCache(model)
    prompt_length = 5
    with torch.no_grad():
        expected_BSV = model(TOKEN_IDS_BS).logits
        model(TOKEN_IDS_BS[:, :prompt_length], past_key_values=cache, use_cache=True)
        for position in range(prompt_length, LENGTH):
            mask_B11S = torch.ones(3, 1, 1, position + 1, dtype=torch.bool)
            positions_B = torch.full((3,), position)
            logits_BV = decoder.logits(TOKEN_IDS_BS[:, position], positions_B, cache, mask_B11S)
            # The modules' norms compute in float32 whatever the weights are, those of the decoder do not.
            torch.testing.assert_close(logits_BV, expected_BSV[:, position], rtol=0, atol=1e-4)


@by_family
def test_a_column_put_in_its_place_gives_the_logits_of_one_appended(
    make_model: Callable[[], PreTrainedModel],
) -> None:
    """As a recorded step does it on a GPU: over all of the room, what is not filled yet masked."""
    model = make_model()
    decoder, prompt_length = LeanDecoder(model), 5
    logits = []
    for is_put in (False, True):
        cache = RoomyCache(model)
        with torch.no_grad():
            model(TOKEN_IDS_BS[:, :prompt_length], past_key_values=cache, use_cache=True)
            for layer in cache.layers:
                for states in (layer.keys, layer.values):
                    states[:, :, prompt_length:] = 0.0
            for position in range(prompt_length, LENGTH):
                cache.make_room()
                width = cache.first_keys.shape[-2] if is_put else position + 1
                mask_B11S = (torch.arange(width) <= position).expand(3, 1, 1, width)
                logits.append(
                    decoder.logits(
                        TOKEN_IDS_BS[:, position],
                        torch.full((3,), position),
                        cache,
                        mask_B11S,
                        column_1=torch.tensor([position]) if is_put else None,
                    )
                )
                if is_put:
                    cache.count_one_more()
    half = len(logits) // 2
    torch.testing.assert_close(logits[half:], logits[:half], rtol=1e-9, atol=1e-12)


@by_family
def test_fused_norms_give_the_models_own_logits_and_gradients(
    make_model: Callable[[], PreTrainedModel],
) -> None:
    results = []
    for is_fused in (False, True):
        model = make_model()
        if is_fused:
            fuse_norms(model)
            assert all(
                "forward" in vars(module)
                for name, module in model.named_modules()
                if name.endswith("norm")
            )
        logits_BSV = model(TOKEN_IDS_BS).logits
        logits_BSV.logsumexp(dim=-1).sum().backward()
        results.append([logits_BSV.detach(), *(each.grad for each in model.parameters())])
    # The modules' own norms compute in float32.
    assert 0 < relative_error(results[0], results[1]) < 1e-5


@by_family
def test_the_loss_head_times_the_hidden_states_is_the_models_own_logits(
    make_model: Callable[[], PreTrainedModel],
) -> None:
    model = make_model()
    positions_N = torch.arange(3 * LENGTH)
    hidden_NH = hidden_states(model, TOKEN_IDS_BS, positions_N)
    head_VH = model.get_output_embeddings().weight
    with torch.no_grad():
        expected_BSV = model(TOKEN_IDS_BS).logits
    torch.testing.assert_close(
        (hidden_NH @ head_VH.T).view_as(expected_BSV), expected_BSV, rtol=1e-9, atol=1e-9
    )


@by_family
def test_a_saved_folder_is_counted_to_the_parameter_and_loads_as_it_was(
    make_model: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    model = make_model()
    model.save_pretrained(tmp_path)

    config = json.loads((tmp_path / "config.json").read_text())
    counts = read_architecture(config).parameter_counts()
    assert counts.total == model.num_parameters()
    assert counts.tied == model.config.tie_word_embeddings

    loaded = load_causal_lm(tmp_path, device=CPU, dtype=torch.float64)
    with torch.no_grad():
        assert torch.equal(loaded(TOKEN_IDS_BS).logits, model(TOKEN_IDS_BS).logits)
