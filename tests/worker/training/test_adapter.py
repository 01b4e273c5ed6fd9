"""LoRA on tiny real models: what trains, what its gradient is, and what a saved student answers."""

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import Qwen3ForCausalLM

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import JobSpec, LoraSpec
from tests.worker.training.tiny_models import CPU, EOS, PAD, RULES, random_rollouts, tiny_qwen3
from worker.rollouts.engine import Response, RolloutRequest, SamplingParams
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.adapter import add_adapter, merged_tensors
from worker.training.batching import cut_into_micro_batches
from worker.training.head import head_weight
from worker.training.models import checkpoint_layers
from worker.training.student_files import ADAPTER_FOLDER, restore_student, save_student
from worker.training.teacher import LocalTeacher
from worker.training.update import ScoredMicroBatch, accumulate_gradient

TOKEN_IDS_BS = torch.tensor([[3, 7, 4, 9, 2, 11, 8, 6]])
OBJECTIVES = {
    "sampled_token": {"type": "sampled_token", "clip_range": None, "dual_clip": None},
    "teacher_topk": {"type": "teacher_topk", "k": 5},
}


def adapted(*, seed: int = 5, trained: bool = False, tied: bool = True, **fields: object):
    student = tiny_qwen3(1, tied=tied)
    add_adapter(student, spec=LoraSpec.model_validate({"rank": 3} | fields), seed=seed)
    if trained:
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in adapter_of(student).values():
                noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
                parameter.copy_(0.3 * noise)
    return student


def adapter_of(student: Qwen3ForCausalLM) -> dict[str, Tensor]:
    return {name: each for name, each in student.named_parameters() if each.requires_grad}


def logits_of(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        return model(input_ids=TOKEN_IDS_BS).logits


def test_only_adapters_train_and_at_first_they_change_no_bit() -> None:
    student = adapted()
    # Hidden 16, feed-forward 24, q 16, k and v 8: per layer 3 × ((16+16) + 2 (16+8) + (16+16)
    # + 2 (16+24) + (24+16)) = 3 × 232 = 696, in two layers.
    assert sum(parameter.numel() for parameter in adapter_of(student).values()) == 1392
    assert torch.equal(logits_of(student), logits_of(tiny_qwen3(1)))
    assert not any(module.training for module in student.modules())


def test_the_first_weights_are_a_function_of_the_seed() -> None:
    one, same, other = adapted(), adapted(), adapted(seed=6)
    name = "model.layers.0.self_attn.q_proj.lora_A.default.weight"
    assert torch.equal(adapter_of(one)[name], adapter_of(same)[name])
    assert not torch.equal(adapter_of(one)[name], adapter_of(other)[name])


def test_adapters_of_a_half_precision_student_are_float32() -> None:
    student = tiny_qwen3(1, dtype=torch.bfloat16)
    add_adapter(student, spec=LoraSpec(), seed=0)
    assert {parameter.dtype for parameter in adapter_of(student).values()} == {torch.float32}
    assert student.dtype is torch.bfloat16
    assert logits_of(student).dtype is torch.bfloat16


def backward(student: Qwen3ForCausalLM, objective: dict) -> None:
    spec = JobSpec.model_validate(
        {
            "student": {"model": "student"},
            "teacher": {"model": "teacher"},
            "prompts": {"problems": {"source": "arithmetic"}},
            "objective": objective,
        }
    )
    batches = cut_into_micro_batches(
        random_rollouts(4),
        gate=spec.gate,
        rules=RULES,
        drift_map_block_size=4,
        max_tokens=60,
        device=CPU,
    )
    scores = LocalTeacher(tiny_qwen3(2), objective=spec.objective).score(batches)
    minibatch = [
        ScoredMicroBatch(batch, score, None) for batch, score in zip(batches, scores, strict=True)
    ]
    accumulate_gradient(student, minibatch, spec=spec, shuffle_seed=3)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_the_gradient_of_an_adapter_is_that_of_its_weight_projected(
    objective: dict, tied: bool
) -> None:
    # W + s B A with s = alpha / rank: ∂L/∂B = s ∂L/∂W Aᵀ, and ∂L/∂A = s Bᵀ ∂L/∂W is 0 at B = 0.
    full, student = tiny_qwen3(1, tied=tied), adapted(alpha=6.0, tied=tied)
    backward(full, objective)
    checkpoint_layers(student)
    backward(student, objective)
    assert head_weight(student).grad is None
    whole = dict(full.named_parameters())
    adapter = adapter_of(student)
    names = [name for name in adapter if ".lora_B." in name]
    assert len(names) == 14
    for name in names:
        weight_gradient = whole[name.replace("lora_B.default.", "")].grad
        a_name = name.replace("lora_B", "lora_A")
        expected = 2.0 * weight_gradient @ adapter[a_name].T
        # The models normalise in float32 whatever their dtype.
        torch.testing.assert_close(adapter[name].grad, expected, rtol=1e-4, atol=1e-6)
        assert adapter[name].grad.abs().max() > 0
        assert adapter[a_name].grad.abs().max() == 0


@pytest.mark.parametrize("tied", [True, False])
def test_a_saved_student_is_a_plain_model_that_answers_alike(tied: bool, tmp_path: Path) -> None:
    student = adapted(trained=True, tied=tied)
    save_student(student, tmp_path)
    plain = Qwen3ForCausalLM.from_pretrained(tmp_path, dtype=torch.float64)
    assert {name for name, _ in plain.named_parameters()} == {
        name for name, _ in tiny_qwen3(1, tied=tied).named_parameters()
    }
    torch.testing.assert_close(logits_of(plain), logits_of(student), rtol=1e-6, atol=1e-6)
    assert (logits_of(plain) - logits_of(tiny_qwen3(1, tied=tied))).abs().max() > 0.1


def test_saving_copies_only_what_is_adapted_and_leaves_the_student_as_it_is() -> None:
    student = adapted(trained=True, target_modules=["q_proj"])
    before = logits_of(student)
    merged = merged_tensors(student)
    ours = {tensor.data_ptr() for tensor in student.state_dict().values()}
    copied = {name for name, tensor in merged.items() if tensor.data_ptr() not in ours}
    assert copied == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in range(2)}
    assert torch.equal(logits_of(student), before)


def test_saved_adapters_load_into_peft_and_into_a_fresh_student_to_the_last_bit(
    tmp_path: Path,
) -> None:
    student = adapted(trained=True)
    save_student(student, tmp_path)
    by_peft = PeftModel.from_pretrained(tiny_qwen3(1), tmp_path / ADAPTER_FOLDER).eval()
    assert torch.equal(logits_of(by_peft), logits_of(student))
    fresh = adapted(seed=99)
    restore_student(fresh, tmp_path)
    assert torch.equal(logits_of(fresh), logits_of(student))
    in_file = load_file(tmp_path / ADAPTER_FOLDER / "adapter_model.safetensors")
    assert len(in_file) == len(adapter_of(student)) == 28


def sampled(model: Qwen3ForCausalLM) -> list[list[Response]]:
    engine = TransformersEngine(
        model, eos_token_ids=frozenset({EOS}), pad_token_id=PAD, device=CPU, max_batch_size=8
    )
    request = RolloutRequest(prompt_token_ids=(3, 4, 5), seeds=(1, 2, 3))
    sampling = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=12)
    return engine.generate([request], sampling=sampling)


def test_rollouts_are_sampled_with_the_adapters_active(tmp_path: Path) -> None:
    student = adapted(trained=True)
    save_student(student, tmp_path)
    plain = Qwen3ForCausalLM.from_pretrained(tmp_path, dtype=torch.float64)
    assert sampled(student) == sampled(plain)
    assert sampled(student) != sampled(tiny_qwen3(1))


@pytest.mark.parametrize("name", ["lm_head", "embed_tokens", "query"])
def test_a_module_outside_the_linear_layers_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(DriftgateError, match=name) as refusal:
        adapted(target_modules=["q_proj", name])
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    (violation,) = refusal.value.violations
    assert (violation.field, violation.given) == ("lora.target_modules", name)
    assert violation.allowed == "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
