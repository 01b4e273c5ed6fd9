from importlib.util import find_spec

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec import ComputeSpec
from worker.rollouts.engine_choice import choose_engine

CPU, GPU = torch.device("cpu"), torch.device("cuda")
is_installed = find_spec("vllm") is not None


def test_a_cpu_gets_transformers_unless_vllm_is_named() -> None:
    assert choose_engine(ComputeSpec(), CPU) == "transformers"
    assert choose_engine(ComputeSpec(engine="transformers"), GPU) == "transformers"


@pytest.mark.skipif(is_installed, reason="vLLM is installed")
def test_vllm_where_it_is_not_is_refused_with_what_to_install() -> None:
    for device, lock_file in ((CPU, "vllm-cpu.txt"), (GPU, "vllm-cuda.txt")):
        with pytest.raises(DriftgateError, match=lock_file) as refusal:
            choose_engine(ComputeSpec(engine="vllm"), device)
        assert refusal.value.code is ErrorCode.INVALID_SPEC
        assert refusal.value.violations[0].field == "compute.engine"
    assert choose_engine(ComputeSpec(), GPU) == "transformers"


@pytest.mark.skipif(not is_installed, reason="vLLM is not installed; `make test-vllm` installs it")
def test_vllm_is_taken_by_itself_on_a_gpu_only() -> None:
    assert choose_engine(ComputeSpec(), GPU) == "vllm"
    assert choose_engine(ComputeSpec(engine="vllm"), CPU) == "vllm"
