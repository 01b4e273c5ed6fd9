"""`python -m benchmarks.latency`: how long a job takes from its POST to its first update.

Cold: the first job of a service that has just said that it is up, so the worker still imports torch. Warm: later jobs of
it. The job is the built-in arithmetic without a baseline evaluation. Times are medians, by the service's own events
except the first update, which is when a client that asks every 20 ms has it. Prints a table and writes the rows to
var/bench/latency.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks.api.processes import free_port
from benchmarks.report import Row, Target, judged_row, print_rows, write_rows

TARGETS = {"cold.first_update": Target(10.0), "warm.first_update": Target(3.0)}
POLL_S = 0.02
TIMEOUT_S = 120
SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 1000}},
    "objective": {"type": "teacher_topk", "k": 4},
    "steps": 2,
    "rollout": {
        "prompts_per_step": 16,
        "samples_per_prompt": 4,
        "max_prompt_tokens": 64,
        "max_response_tokens": 64,
        "top_p": 1,
    },
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds after the POST was sent."""

    answered: float
    claimed: float
    child_runs: float
    trains: float
    first_update: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="of the service, one cold job each")
    parser.add_argument("--warm-jobs", type=int, default=3, help="after each cold one")
    parser.add_argument("--without-nursery", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("var/bench/latency.json"))
    options = parser.parse_args()
    settings = {"DRIFTGATE_NURSERY": "0"} if options.without_nursery else {}
    cold, warm = [], []
    for _ in range(options.starts):
        with (
            tempfile.TemporaryDirectory(prefix="dg-latency-") as folder,
            _service(Path(folder), settings) as api,
        ):
            cold.append(_measure(api))
            warm += [_measure(api) for _ in range(options.warm_jobs)]
    rows = [
        *_rows("cold", cold),
        *_rows("warm", warm),
        judged_row("load", os.getloadavg()[0], "processes, 1 min mean", {}),
    ]
    print_rows("POST to first update", rows, TARGETS)
    write_rows(rows, options.output)


def _rows(name: str, measured: Sequence[Latency]) -> list[Row]:
    fields = Latency.__dataclass_fields__
    return [
        judged_row(
            f"{name}.{each}",
            statistics.median(getattr(latency, each) for latency in measured),
            "s",
            TARGETS,
        )
        for each in fields
    ]


@contextmanager
def _service(folder: Path, settings: Mapping[str, str]) -> Iterator[httpx.Client]:
    """`driftgate up` from nothing, once it says that it is up."""
    ports = free_port(), free_port()
    environment = {
        "DRIFTGATE_DATA_DIR": str(folder / "var"),
        "DRIFTGATE_HTTP_PORT": str(ports[0]),
        "DRIFTGATE_GRPC_PORT": str(ports[1]),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "service.cli", "up"],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "is up" in line, line
            with httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=30) as client:
                yield client
        finally:
            process.terminate()
            process.wait()


def _measure(api: httpx.Client) -> Latency:
    sent_at = time.time()
    answer = api.post("/v1/jobs", json=SPEC)
    answered = time.time() - sent_at
    assert answer.status_code == 201, answer.text
    job_id = answer.json()["id"]
    while not _json(api, f"/v1/jobs/{job_id}/metrics?names=train/loss")["update"]:
        assert time.time() < sent_at + TIMEOUT_S, _json(api, f"/v1/jobs/{job_id}")
        time.sleep(POLL_S)
    first_update = time.time() - sent_at
    while _json(api, f"/v1/jobs/{job_id}")["state"] not in ("succeeded", "failed"):
        time.sleep(POLL_S)
    events = _json(api, f"/v1/jobs/{job_id}/events")["events"]
    return Latency(
        answered=answered,
        claimed=_seconds_to(events, sent_at, state="starting"),
        child_runs=_seconds_to(events, sent_at, message="Phase loading."),
        trains=_seconds_to(events, sent_at, type="training_started"),
        first_update=first_update,
    )


def _seconds_to(events: Sequence[Mapping[str, Any]], sent_at: float, **fields: str) -> float:
    """Of the first event with these fields."""
    first = next(
        each for each in events if all(each[name] == value for name, value in fields.items())
    )
    return datetime.fromisoformat(first["at"]).timestamp() - sent_at


def _json(api: httpx.Client, path: str) -> Any:
    answer = api.get(path)
    answer.raise_for_status()
    return json.loads(answer.content)


if __name__ == "__main__":
    main()
