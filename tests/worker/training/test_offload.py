"""What is away between its phases comes back as it went: the same bits as where nothing moves."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from service.jobs.spec import OptimizerSpec
from tests.worker.training.test_trainer import make_spec, make_trainer, newest, run, without_times
from tests.worker.training.tiny_models import CPU, tiny_qwen3
from worker.training.offload import present, send_away
from worker.training.optimizer import StudentOptimizer


def test_a_model_is_at_hand_inside_and_away_outside_with_every_bit() -> None:
    model = tiny_qwen3(1)
    expected = {name: each.clone() for name, each in model.state_dict().items()}
    send_away(model, device=CPU)
    away = [each.data_ptr() for each in model.parameters()]
    with present(model):
        at_hand = [each.data_ptr() for each in model.parameters()]
        logits = model(torch.tensor([[3, 4]])).logits
    assert not set(away) & set(at_hand)
    assert [each.data_ptr() for each in model.parameters()] == away
    assert all(torch.equal(each, expected[name]) for name, each in model.state_dict().items())
    assert torch.equal(logits, tiny_qwen3(1)(torch.tensor([[3, 4]])).logits)
    # A tied head is one weight, there and back.
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_model_that_was_not_sent_away_stays() -> None:
    model = tiny_qwen3(1)
    before = [each.data_ptr() for each in model.parameters()]
    with present(model):
        assert [each.data_ptr() for each in model.parameters()] == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_an_offloaded_optimizer_steps_and_is_restored_to_the_same_bits(dtype: torch.dtype) -> None:
    def stepped(optimizer: StudentOptimizer, layer: torch.nn.Linear, *, num_steps: int) -> None:
        for step in range(num_steps):
            layer(torch.full((2, 3), 0.5 + step, dtype=dtype)).sum().backward()
            optimizer.step(1e-2)

    def fresh(*, is_offloaded: bool) -> tuple[StudentOptimizer, torch.nn.Linear]:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 4).to(dtype)
        return StudentOptimizer(layer, spec=OptimizerSpec(), is_offloaded=is_offloaded), layer

    stays, expected = fresh(is_offloaded=False)
    stepped(stays, expected, num_steps=4)
    leaves, layer = fresh(is_offloaded=True)
    stepped(leaves, layer, num_steps=2)
    halfway = {key: tensor.clone() for key, tensor in leaves.tensors().items()}
    restored, layer_again = fresh(is_offloaded=True)
    layer_again.load_state_dict(layer.state_dict())
    restored.load(halfway)
    for step in (2, 3):
        layer_again(torch.full((2, 3), 0.5 + step, dtype=dtype)).sum().backward()
        restored.step(1e-2)
    assert torch.equal(layer_again.weight, expected.weight)
    tensors, tensors_expected = restored.tensors(), stays.tensors()
    assert tensors.keys() == tensors_expected.keys()
    assert all(torch.equal(tensors[key], tensors_expected[key]) for key in tensors)


def test_a_run_with_everything_offloaded_ends_with_the_bits_of_one_without(tmp_path: Path) -> None:
    weights, records = {}, {}
    for offload in ("none", "both"):
        trainer = make_trainer(make_spec(steps=2, compute={"offload": offload}))
        if offload == "both":
            send_away(trainer._teacher.model, device=CPU)
        folder = tmp_path / offload
        records[offload], _ = run(trainer, folder)
        weights[offload] = load_file(newest(folder) / "model.safetensors")
    assert without_times(records["both"]) == without_times(records["none"])
    assert all(
        torch.equal(weights["both"][name], weights["none"][name]) for name in weights["none"]
    )
