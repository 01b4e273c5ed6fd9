from pathlib import Path

import pytest

from service.jobs.capabilities import Capabilities
from worker import capabilities
from worker.capabilities import find_capabilities

GIBIBYTE = 2**30


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of files: 8 GiB, no control group, no GPU."""
    (tmp_path / "meminfo").write_text("MemTotal:        8388608 kB\nMemFree:  1 kB\n")
    monkeypatch.setattr(capabilities, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(capabilities, "CONTROL_GROUP_LIMITS", (tmp_path / "memory.max",))
    monkeypatch.setattr(capabilities, "DRIVER_FOLDER", tmp_path / "nvidia")
    monkeypatch.setattr(capabilities, "DEVICE_FILE", tmp_path / "nvidia0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path


def test_a_machine_without_a_gpu_has_a_cpu_and_its_own_memory(machine, settings_factory):
    assert find_capabilities(settings_factory()) == Capabilities("cpu", 8 * GIBIBYTE)


@pytest.mark.parametrize(
    ("limit", "memory_bytes"),
    [("1073741824\n", GIBIBYTE), ("max\n", 8 * GIBIBYTE), ("9223372036854771712", 8 * GIBIBYTE)],
)
def test_a_control_group_may_leave_less(machine, settings_factory, limit, memory_bytes):
    (machine / "memory.max").write_text(limit)
    assert find_capabilities(settings_factory()).memory_bytes == memory_bytes


@pytest.mark.parametrize("sign", ["nvidia", "nvidia0"])
def test_a_driver_or_a_device_file_means_a_gpu(machine, settings_factory, sign):
    (machine / sign).mkdir()
    assert find_capabilities(settings_factory()).device == "cuda"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_gpu_that_is_hidden_from_the_process_is_none(
    machine, settings_factory, monkeypatch, visible
):
    (machine / "nvidia").mkdir()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_capabilities(settings_factory()).device == "cpu"


def test_the_settings_go_before_what_is_found(machine, settings_factory):
    settings = settings_factory(worker_device="cuda", worker_memory_bytes=5)
    assert find_capabilities(settings) == Capabilities("cuda", 5)


def test_memory_that_the_system_does_not_tell_is_unknown(machine, settings_factory):
    (machine / "meminfo").unlink()
    assert find_capabilities(settings_factory()) == Capabilities("cpu", None)


def test_this_machine_has_memory(settings_factory):
    found = find_capabilities(settings_factory(worker_device="cpu")).memory_bytes
    assert found is not None
    total_kibibytes = int(Path("/proc/meminfo").read_text().split()[1])
    assert 0 < found <= total_kibibytes * 1024


@pytest.mark.gpu
def test_the_memory_of_a_gpu_is_what_torch_says_of_the_smallest(settings_factory):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    sizes = [
        torch.cuda.get_device_properties(index).total_memory
        for index in range(torch.cuda.device_count())
    ]
    found = find_capabilities(settings_factory())
    assert found.device == "cuda"
    # The driver also counts what it keeps for itself.
    assert min(sizes) <= found.memory_bytes <= min(sizes) * 1.05
