from contextlib import ExitStack

import pytest

from tests.worker.bench import Bench
from tests.worker.small_jobs import small_job
from worker.capabilities import device_names, find_capabilities
from worker.ranks_devices import DeviceAllotment


@pytest.fixture
def jobs():
    """Jobs under way, ended with the test at the latest."""
    with ExitStack() as stack:
        yield stack


def taking(count):
    """A claim that finds a job of so many devices wherever as many are free."""
    return {
        "claim": lambda num_free: count if count <= num_free else None,
        "count_of": lambda claimed: claimed,
    }


def test_jobs_of_as_many_slots_as_devices_share_none(jobs):
    devices = DeviceAllotment(["0", "1", "2"], num_slots=3)

    assert jobs.enter_context(devices.claimed(**taking(2))) == (2, ("0", "1"))
    assert jobs.enter_context(devices.claimed(**taking(2))) is None
    assert jobs.enter_context(devices.claimed(**taking(1))) == (1, ("2",))
    assert jobs.enter_context(devices.claimed(**taking(1))) is None


def test_a_device_is_free_again_when_its_job_has_ended():
    devices = DeviceAllotment(["0", "1"], num_slots=1)

    with devices.claimed(**taking(2)) as first:
        assert first == (2, ("0", "1"))
    with devices.claimed(**taking(1)) as second:
        assert second == (1, ("0",))


def test_more_slots_than_devices_share_evenly(jobs):
    devices = DeviceAllotment(["GPU-a", "GPU-b"], num_slots=4)

    taken = [jobs.enter_context(devices.claimed(**taking(1))) for _ in range(5)]

    assert [found and found[1] for found in taken] == [
        ("GPU-a",),
        ("GPU-b",),
        ("GPU-a",),
        ("GPU-b",),
        None,
    ]


def test_a_claim_that_fails_takes_nothing():
    devices = DeviceAllotment(["0"], num_slots=1)

    def fail(num_free):
        raise ConnectionError(num_free)

    with pytest.raises(ConnectionError), devices.claimed(fail, count_of=lambda _: 1):
        pass
    with devices.claimed(**taking(1)) as found:
        assert found == (1, ("0",))


def test_a_worker_without_a_gpu_has_one_device_unless_it_says_otherwise(settings_factory):
    assert device_names("cpu", settings_factory()) == ("cpu0",)
    settings = settings_factory(worker_device="cpu", worker_devices=2)
    assert device_names("cpu", settings) == ("cpu0", "cpu1")
    assert find_capabilities(settings).num_devices == 2


def test_a_worker_has_the_gpus_that_it_sees_and_no_more_than_it_is_told(
    settings_factory, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a,7")
    assert device_names("cuda", settings_factory()) == ("2", "GPU-5a", "7")
    assert device_names("cuda", settings_factory(worker_devices=2)) == ("2", "GPU-5a")


def test_an_attempt_is_told_its_devices(sqlite_url, tmp_path):
    child = tmp_path / "child.py"
    child.write_text("import sys; print(*sys.argv)")
    bench = Bench(sqlite_url, tmp_path / "artifacts", child=child)
    job_id = bench.submit(small_job())
    claim = bench.jobs.claim(queue="default", owner="test", lease_s=30)

    bench.supervisor.supervise(claim, devices=("1", "3"))

    assert (tmp_path / f"artifacts/jobs/{job_id}/1/log.txt").read_text().endswith("--devices 1,3\n")
