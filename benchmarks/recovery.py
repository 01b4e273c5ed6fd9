"""`python -m benchmarks.recovery`: how long a job stands still when what runs it is killed, and what it does again.

The job is the built-in arithmetic with four updates a step and checkpoints as by default, on PostgreSQL, with an API, a reconciler and
two workers of one slot, each a host of its own. `child`: kill -9 of the attempt's process. `host`: kill -9 of everything
of the worker that holds the job, at once; the other one takes it. Each at a random moment, with the lease in the row's
name and a heartbeat of a tenth or a ninth of it, as by default; everything else is by default too. Times are from the kill
until a client that asks every 20 ms has the next update; `lost` is what was recorded before the kill and done again.
Prints a table of medians and of the worst, and writes the rows to var/bench/recovery.json.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.api.processes import broker, free_port, postgres
from benchmarks.latency import SPEC
from benchmarks.report import Row, Target, judged_row, print_rows, write_rows
from service.storage.sessions import migrate

REUSE = {"epochs": 2, "minibatches": 2}
UPDATES_PER_STEP = REUSE["epochs"] * REUSE["minibatches"]
JOB = SPEC | {"steps": 10_000, "reuse": REUSE}
DEFAULT_LEASE_S = 90
# By its lease in seconds: of the heartbeat.
HEARTBEATS_S = {10: 1, DEFAULT_LEASE_S: 10}
HOSTS = ("one", "two")
CHILD_TARGET_S = 15.0
HOST_MARGIN_S = 10.0
MAX_STEPS_LOST = 1.0
STEPS_BETWEEN_KILLS = 3
LONGEST_PAUSE_S = 2.0
UPDATES_LOOKED_AT = 40
POLL_S = 0.02
TIMEOUT_S = 300
# In the environment of all that belongs to a host.
MARK = "BENCH_HOST"


@dataclass(frozen=True, slots=True)
class Recovery:
    """next_update_s: from the kill to the first update after it. lost: what was done before it and again after it."""

    next_update_s: float
    updates_lost: int
    steps_lost: float


@dataclass(frozen=True, slots=True)
class Progress:
    """The newest update that stands, and the attempt that made it."""

    update: int
    attempt: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child-kills", type=int, default=7)
    parser.add_argument("--host-kills", type=int, default=5, help="with a lease of 10 s")
    parser.add_argument("--default-host-kills", type=int, default=3, help="with one of 90 s")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--output", type=Path, default=Path("var/bench/recovery.json"))
    options = parser.parse_args()
    choices = random.Random(options.seed)
    host_kills = {10: options.host_kills, DEFAULT_LEASE_S: options.default_host_kills}
    targets: dict[str, Target] = {}
    rows: list[Row] = []
    for lease_s, num_kills in host_kills.items():
        num_child_kills = options.child_kills if lease_s == DEFAULT_LEASE_S else 0
        with _service(lease_s) as service:
            child = [
                service.recovery_from(service.kill_child, choices) for _ in range(num_child_kills)
            ]
            host = [service.recovery_from(service.kill_host, choices) for _ in range(num_kills)]
        if child:
            rows += _rows(f"child.lease_{lease_s}", child, CHILD_TARGET_S, targets)
        if host:
            rows += _rows(f"host.lease_{lease_s}", host, lease_s + HOST_MARGIN_S, targets)
    rows.append(judged_row("load", os.getloadavg()[0], "processes, 1 min mean", {}))
    print_rows("kill -9 to the next update", rows, targets)
    write_rows(rows, options.output)


def _rows(
    name: str, measured: Sequence[Recovery], target_s: float, targets: dict[str, Target]
) -> list[Row]:
    """The worst case is what has to hold."""
    targets[f"{name}.next_update.max"] = Target(target_s)
    targets[f"{name}.steps_lost.max"] = Target(MAX_STEPS_LOST)
    figures = {
        "next_update": ([each.next_update_s for each in measured], "s"),
        "updates_lost": ([each.updates_lost for each in measured], "updates"),
        "steps_lost": ([each.steps_lost for each in measured], "steps"),
    }
    rows = [judged_row(f"{name}.kills", len(measured), "kills", {})]
    for figure, (values, unit) in figures.items():
        median, worst = statistics.median(values), max(values)
        rows.append(judged_row(f"{name}.{figure}.median", median, unit, targets))
        rows.append(judged_row(f"{name}.{figure}.max", worst, unit, targets))
    return rows


class Service:
    """A job that goes on for ever, on one of two hosts."""

    def __init__(self, folder: Path, *, environment: dict[str, str], api: httpx.Client) -> None:
        self._folder = folder
        self._environment = environment
        self._api = api
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._job_id = ""
        self._newest = 0

    def start(self) -> None:
        self._start("api")
        self._start("reconciler")
        for host in HOSTS:
            self._start("worker", host)
        _wait(lambda: self._is_well("/healthz"))
        self._job_id = self._post("/v1/jobs", JOB)["id"]

    def recovery_from(self, kill: Callable[[], None], choices: random.Random) -> Recovery:
        """What a kill costs at some moment after the job has saved something new."""
        begun = self._progress()
        enough = begun.update + STEPS_BETWEEN_KILLS * UPDATES_PER_STEP
        _wait(lambda: self._progress().update >= enough)
        time.sleep(choices.uniform(0, LONGEST_PAUSE_S))
        before = self._progress()
        killed_at = time.monotonic()
        kill()
        _wait(lambda: self._progress().attempt > before.attempt)
        next_update_s = time.monotonic() - killed_at
        attempts = self._get(f"/v1/jobs/{self._job_id}/attempts")["attempts"]
        resumed_from = max(attempts, key=lambda each: each["number"])["resumed_from_update"] or 0
        lost = max(0, before.update - resumed_from)
        return Recovery(next_update_s, lost, lost / UPDATES_PER_STEP)

    def kill_child(self) -> None:
        (child,) = _pids(lambda words, _marks: "--attempt-dir" in words and self._job_id in words)
        os.kill(child, signal.SIGKILL)

    def kill_host(self) -> None:
        """Everything of the host that holds the job; it comes back, and then waits for work."""
        host = next(each for each in HOSTS if self._holds_the_job(each))
        for pid in self._pids_of(host):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._processes.pop(host).wait()
        assert not self._pids_of(host), "something of the host lives on"
        self._start("worker", host)

    def stop(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait()

    def _holds_the_job(self, host: str) -> bool:
        return bool(
            _pids(
                lambda words, marks: (
                    "--attempt-dir" in words
                    and self._mark_of(host) in marks
                    and self._job_id in words
                )
            )
        )

    def _pids_of(self, host: str) -> list[int]:
        return _pids(lambda _words, marks: self._mark_of(host) in marks)

    def _mark_of(self, host: str) -> str:
        return f"{MARK}={self._folder}/{host}"

    def _start(self, command: str, host: str | None = None) -> None:
        name = host or command
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "service.cli", command],
                env=os.environ | self._environment | {MARK: f"{self._folder}/{name}"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _progress(self) -> Progress:
        after = max(0, self._newest - UPDATES_LOOKED_AT)
        path = f"/v1/jobs/{self._job_id}/metrics?names=train/loss&after_update={after}"
        metrics = self._get(path)
        if not metrics["update"]:
            return Progress(0, 0)
        self._newest = max(self._newest, metrics["update"][-1])
        return Progress(metrics["update"][-1], metrics["attempt"][-1])

    def _is_well(self, path: str) -> bool:
        try:
            return self._api.get(path).is_success
        except httpx.HTTPError:
            return False

    def _get(self, path: str) -> Any:
        answer = self._api.get(path)
        answer.raise_for_status()
        return json.loads(answer.content)

    def _post(self, path: str, body: object) -> Any:
        answer = self._api.post(path, json=body)
        answer.raise_for_status()
        return json.loads(answer.content)


@contextmanager
def _service(lease_s: int) -> Iterator[Service]:
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="dg-recovery-")))
        database_url = ending.enter_context(postgres())
        migrate(database_url)
        port = free_port()
        environment = {
            "DRIFTGATE_DATA_DIR": str(folder / "var"),
            "DRIFTGATE_DATABASE_URL": database_url,
            "DRIFTGATE_BROKER_URL": ending.enter_context(broker(folder)),
            "DRIFTGATE_HTTP_PORT": str(port),
            "DRIFTGATE_LEASE_S": str(lease_s),
            "DRIFTGATE_HEARTBEAT_S": str(HEARTBEATS_S[lease_s]),
            "OMP_NUM_THREADS": "1",
        }
        api = ending.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30))
        service = Service(folder, environment=environment, api=api)
        ending.callback(service.stop)
        service.start()
        yield service


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"nothing came of it in {TIMEOUT_S} s"
        time.sleep(POLL_S)


def _pids(is_meant: Callable[[list[str], list[str]], bool]) -> list[int]:
    """Living processes by their command line and their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
            marks = (path / "environ").read_bytes().decode(errors="replace").split("\0")
            if is_meant(words, marks):
                found.append(int(path.name))
    return found


if __name__ == "__main__":
    main()
