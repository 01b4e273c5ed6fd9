"""Bytes against the tensors that the worker makes."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
)

from service.jobs.spec import JobSpec, LoraSpec
from service.preflight import tensor_sizes
from service.preflight.adapter import adapter_parameters
from service.preflight.architecture import Architecture, read_architecture
from service.preflight.memory import memory_plans
from service.preflight.tensor_sizes import activation_bytes, cache_bytes, chunk_tokens
from worker.rollouts.key_value_cache import RoomyCache
from worker.training import head
from worker.training.adapter import add_adapter
from worker.training.optimizer import StudentOptimizer

SIZES = {
    "vocab_size": 97,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
QWEN3 = Qwen3Config(**SIZES, head_dim=16)
CONFIGS = [QWEN3, Qwen2Config(**SIZES), LlamaConfig(**SIZES)]
ELEMENT_BYTES = {torch.float32: 4, torch.bfloat16: 2}

by_family = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
by_dtype = pytest.mark.parametrize("dtype", list(ELEMENT_BYTES), ids=str)


def architecture_of(config: PreTrainedConfig) -> Architecture:
    architecture = read_architecture(config.to_dict())
    assert isinstance(architecture, Architecture)
    return architecture


def model_of(config: PreTrainedConfig, dtype: torch.dtype = torch.float32):
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    return model.to(dtype).eval()


def num_bytes(tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def spec_of(**changes: object) -> JobSpec:
    """Two prompts of two samples, at most 10 + 6 tokens each."""
    fields: dict[str, object] = {
        "student": {"model": "student"},
        "teacher": {"model": "teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
        "rollout": {
            "prompts_per_step": 2,
            "samples_per_prompt": 2,
            "max_prompt_tokens": 10,
            "max_response_tokens": 6,
        },
        "compute": {"dtype": "float32"},
    }
    return JobSpec.model_validate(fields | changes)


def plan_of(spec: JobSpec, *, problems: tuple[int, ...] = (), config: PreTrainedConfig = QWEN3):
    architecture = architecture_of(config)
    (plan,) = memory_plans(
        spec,
        vocab_size=config.vocab_size,
        student=architecture,
        teacher=architecture,
        num_benchmark_problems=problems,
    )
    return plan


@pytest.mark.parametrize("vocab_size", [7, 45, 4096, 32_000, 151_936, 2_000_000])
def test_chunks_of_the_head_are_the_workers(vocab_size):
    head_VH = torch.empty(vocab_size, 1, device="meta")
    assert chunk_tokens(vocab_size) == head.chunk_tokens(head_VH)
    assert head.max_chunk_elements(torch.device("cuda")) == tensor_sizes.MAX_CHUNK_ELEMENTS_ON_GPU


class LargestTensor(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation returns."""

    num_bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, torch.Tensor):
                self.num_bytes = max(self.num_bytes, part.untyped_storage().nbytes())
        return result


def test_a_chunk_of_logits_is_as_large_as_planned():
    # A vocabulary of 60,000: 279 tokens a chunk, and 300 to score.
    vocab_size, num_tokens = 60_000, 300
    hidden_NH, head_VH = torch.zeros(num_tokens, 4), torch.zeros(vocab_size, 4)
    spec = spec_of(
        rollout={"max_prompt_tokens": 1, "max_response_tokens": num_tokens},
        compute={"dtype": "float32", "max_tokens_per_microbatch": num_tokens},
    )
    config = Qwen3Config(**SIZES | {"vocab_size": vocab_size}, head_dim=16)
    with LargestTensor() as largest:
        head.sampled_gradient(
            hidden_NH,
            head.HeadGradient(head_VH),
            torch.zeros(num_tokens, dtype=torch.long),
            chunks=head.even_chunks(num_tokens, head_VH),
            loss_of=lambda _chunk, log_probs_C: log_probs_C.sum(),
        )

    assert plan_of(spec, config=config).head_chunk_bytes == largest.num_bytes


def test_a_chunk_of_the_support_is_as_large_as_planned():
    # K·H = 4096·48 numbers a token make chunks of 85 tokens, more than the 45-token vocabulary's logits.
    num_tokens, k, hidden_size = 100, 4096, 48
    spec = spec_of(
        objective={"type": "teacher_topk", "k": k},
        rollout={"max_prompt_tokens": 1, "max_response_tokens": num_tokens},
        compute={"dtype": "float32", "max_tokens_per_microbatch": num_tokens},
    )
    with LargestTensor() as largest:
        head.support_gradient(
            torch.zeros(num_tokens, hidden_size),
            head.HeadGradient(torch.zeros(QWEN3.vocab_size, hidden_size)),
            torch.zeros(num_tokens, k, dtype=torch.long),
            loss_of=lambda _chunk, logits_CK: logits_CK.sum(),
        )

    assert plan_of(spec).head_chunk_bytes == largest.num_bytes


@by_family
@by_dtype
def test_the_cache_is_as_large_as_what_a_model_fills(config, dtype):
    model = model_of(config, dtype)
    cache = RoomyCache(model)
    with torch.inference_mode():
        model(torch.zeros(4, 16, dtype=torch.long), past_key_values=cache, use_cache=True)

    filled = [
        states[:, :, : layer.length]
        for layer in cache.layers
        for states in (layer.keys, layer.values)
    ]

    assert cache_bytes(
        architecture_of(config),
        num_sequences=4,
        num_positions=16,
        element_bytes=ELEMENT_BYTES[dtype],
    ) == sum(states.numel() * states.element_size() for states in filled)


def bytes_kept_by(model) -> int:
    """For the backward pass of 4 sequences of 64 tokens; the hidden states are kept by the head."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden_NH = head.hidden_states(
            model, torch.zeros(4, 64, dtype=torch.long), torch.arange(256)
        )
    return sum(kept.values()) + hidden_NH.numel() * hidden_NH.element_size()


@by_family
@by_dtype
def test_activations_are_what_autograd_keeps(config, dtype):
    kept_bytes = bytes_kept_by(model_of(config, dtype))
    planned = activation_bytes(
        architecture_of(config),
        num_tokens=256,
        element_bytes=ELEMENT_BYTES[dtype],
        is_checkpointed=False,
    )
    # Token ids and rotary angles, which all layers share, are left out.
    assert kept_bytes == pytest.approx(planned, rel=0.01)
    assert kept_bytes >= planned


LORA_SPEC = LoraSpec(rank=4, target_modules=("q_proj", "o_proj", "down_proj"))


@by_dtype
def test_adapters_are_as_large_as_those_of_the_worker(dtype):
    model = model_of(QWEN3, dtype)
    base_bytes = num_bytes(model.parameters())
    add_adapter(model, spec=LORA_SPEC, seed=0)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    plan = plan_of(
        spec_of(lora=LORA_SPEC.model_dump(), compute={"dtype": str(dtype).removeprefix("torch.")})
    )

    assert adapter_parameters(architecture_of(QWEN3), LORA_SPEC) == sum(
        parameter.numel() for parameter in trained
    )
    assert plan.gradients_bytes == num_bytes(trained)
    assert plan.optimizer_states_bytes == 2 * num_bytes(trained)
    assert plan.student_weights_bytes == base_bytes + num_bytes(trained)
    assert plan.teacher_weights_bytes == base_bytes


@by_dtype
def test_activations_with_adapters_are_bounded_from_above(dtype):
    model = model_of(QWEN3, dtype)
    add_adapter(model, spec=LoraSpec(rank=4), seed=0)
    plan = plan_of(
        spec_of(
            lora={"rank": 4},
            compute={"dtype": str(dtype).removeprefix("torch.")},
            rollout={
                "prompts_per_step": 2,
                "samples_per_prompt": 2,
                "max_prompt_tokens": 32,
                "max_response_tokens": 32,
            },
        )
    )

    assert 0.7 * plan.activations_bytes < bytes_kept_by(model) < plan.activations_bytes


def test_checkpointed_layers_keep_their_inputs_and_one_layer_is_whole():
    sizes = {"num_tokens": 10, "element_bytes": 4}
    of_depth = {
        depth: activation_bytes(
            architecture_of(Qwen3Config(**SIZES | {"num_hidden_layers": depth}, head_dim=16)),
            is_checkpointed=is_checkpointed,
            **sizes,
        )
        for depth, is_checkpointed in ((1, False), (101, True))
    }

    # 101 inputs of 48 numbers, 10 tokens, 4 bytes, beside one layer and the final norm.
    assert of_depth[101] - of_depth[1] == 101 * 48 * 10 * 4


@by_dtype
def test_weights_gradients_and_states_are_those_of_the_optimiser(dtype):
    model = model_of(QWEN3, dtype)
    optimizer = StudentOptimizer(model, spec=spec_of().optimizer)
    # The head's own is summed where the parameter's gradient is.
    head.HeadGradient(model.get_output_embeddings().weight)
    hidden_NH = head.hidden_states(model, torch.tensor([[1, 2]]), torch.tensor([0, 1]))
    hidden_NH.sum().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    optimizer.step(1e-3)
    plan = plan_of(spec_of(compute={"dtype": str(dtype).removeprefix("torch.")}))

    states = [tensor for name, tensor in optimizer.tensors().items() if not name.endswith("/step")]
    assert plan.student_weights_bytes == num_bytes(model.parameters())
    assert plan.teacher_weights_bytes == plan.student_weights_bytes
    assert plan.gradients_bytes == num_bytes(gradients)
    assert plan.optimizer_states_bytes == num_bytes(states)


def test_batches_are_no_larger_than_what_there_is_to_do():
    # 4 responses of 16 tokens; a position takes 3 layers · 2 · 2 heads · 16 · 4 bytes = 768.
    benchmark = {"name": "b", "problems": {"source": "arithmetic"}}
    evaluation = {"benchmarks": [benchmark], "samples_per_problem": 8, "max_response_tokens": 20}
    plan = plan_of(spec_of(evaluation=evaluation), problems=(5,))

    assert plan.rollout_cache_bytes == 4 * 16 * 768
    assert plan.rollout_logits_bytes == 4 * 97 * 4
    assert plan.evaluation_cache_bytes == 5 * 8 * 30 * 768
    assert plan.activations_bytes == activation_bytes(
        architecture_of(QWEN3), num_tokens=64, element_bytes=4, is_checkpointed=False
    )
    # Two log-probs a response token.
    assert plan.targets_bytes == 4 * 6 * 2 * 4


def test_the_peak_is_weights_optimiser_and_the_largest_phase():
    plan = plan_of(spec_of())
    update = plan.gradients_bytes + plan.activations_bytes
    update += plan.head_chunk_bytes + plan.targets_bytes

    assert update > plan.rollout_cache_bytes + plan.rollout_logits_bytes
    assert plan.peak_bytes == (
        plan.student_weights_bytes
        + plan.teacher_weights_bytes
        + plan.optimizer_states_bytes
        + update
    )


@pytest.mark.parametrize(
    ("offload", "by_phase"),
    [
        # Bytes a parameter in float32: teacher 4, moments 8, gradients 4; scoring has the teacher, the step both of the
        # others, and the update the gradients.
        ("teacher", {"always": 8, "scoring": 4, "update": 4, "step": 4}),
        ("optimizer", {"always": 4, "scoring": 0, "update": 4, "step": 4 + 8}),
        ("both", {"always": 0, "scoring": 4, "update": 4, "step": 4 + 8}),
    ],
)
def test_what_is_offloaded_counts_only_in_the_phases_that_use_it(offload, by_phase):
    rollout = {"max_prompt_tokens": 1, "max_response_tokens": 1}
    rollout |= {"prompts_per_step": 1, "samples_per_prompt": 2}
    compute = {"dtype": "float32", "offload": offload}
    config = Qwen3Config(**SIZES | {"intermediate_size": 4096}, head_dim=16)
    plan = plan_of(spec_of(compute=compute, rollout=rollout), config=config)
    num_parameters = architecture_of(config).parameter_counts().total

    of_update = plan.activations_bytes + plan.head_chunk_bytes
    largest = max(
        by_phase["scoring"] * num_parameters + plan.head_chunk_bytes,
        by_phase["update"] * num_parameters + of_update,
        by_phase["step"] * num_parameters,
    )
    always = (4 + by_phase["always"]) * num_parameters
    assert plan.peak_bytes == always + largest + plan.targets_bytes


def test_vllms_copy_of_the_student_is_there_always_on_a_cpu_and_for_sampling_on_a_gpu():
    def peak_of(**compute):
        return plan_of(spec_of(compute={"dtype": "float32", **compute}))

    plain = peak_of()
    on_cpu, on_gpu = peak_of(engine="vllm"), peak_of(engine="vllm", device="cuda")

    assert plain.engine_weights_bytes == 0
    assert on_cpu.engine_weights_bytes == on_gpu.engine_weights_bytes == plain.student_weights_bytes
    assert on_cpu.peak_bytes == plain.peak_bytes + plain.student_weights_bytes
    # There the largest phase is the update's, when the copy is gone.
    assert on_gpu.peak_bytes == peak_of(device="cuda").peak_bytes


def test_the_gradients_of_a_bfloat16_student_are_float32():
    config = Qwen3Config(**SIZES | {"intermediate_size": 4096}, head_dim=16)
    rollout = {"max_prompt_tokens": 1, "max_response_tokens": 1}
    rollout |= {"prompts_per_step": 1, "samples_per_prompt": 2}
    plan = plan_of(spec_of(compute={"dtype": "bfloat16"}, rollout=rollout), config=config)
    num_parameters = architecture_of(config).parameter_counts().total

    # Student and teacher 2 bytes each, moments and masters 12, gradients 4; two targets of two tokens.
    # The update has besides the logits of its four tokens at most (float32, and their gradient and product in
    # bfloat16) and what two sequences of two tokens keep.
    chunk, kept = 4 * 97 * 8, plan.activations_bytes
    assert plan.peak_bytes == num_parameters * (2 + 2 + 12 + 4) + chunk + kept + 2 * 2 * 4


@pytest.mark.parametrize(
    ("max_tokens", "minibatches", "num_tokens"),
    [
        (1, 1, 16),  # one sequence may be longer than the budget
        (40, 1, 40),  # shorter ones may fill it
        (16_384, 1, 64),  # all four responses
        (16_384, 4, 16),  # one response a minibatch
    ],
)
def test_a_micro_batch_holds_the_budget_or_what_there_is(max_tokens, minibatches, num_tokens):
    plan = plan_of(
        spec_of(
            compute={"dtype": "float32", "max_tokens_per_microbatch": max_tokens},
            reuse={"minibatches": minibatches},
        )
    )

    assert plan.activations_bytes == activation_bytes(
        architecture_of(QWEN3), num_tokens=num_tokens, element_bytes=4, is_checkpointed=False
    )


@pytest.mark.parametrize(
    ("compute", "dtypes"),
    [
        ({}, ["float32", "bfloat16"]),
        ({"device": "cpu"}, ["float32"]),
        ({"device": "cpu", "dtype": "bfloat16"}, ["bfloat16"]),
        ({"device": "cuda", "dtype": "float32"}, ["float32"]),
    ],
)
def test_there_is_a_plan_for_each_dtype_that_the_device_may_lead_to(compute, dtypes):
    plans = memory_plans(
        spec_of(compute=compute),
        vocab_size=97,
        student=None,
        teacher=None,
        num_benchmark_problems=(),
    )

    assert [plan.dtype for plan in plans] == dtypes
    assert {plan.peak_bytes for plan in plans} == {None}
