"""Proves the built wheel in clean environments, outside the clone.

With the `api` extra alone, REST and gRPC import without torch being there. With `embedded`, `driftgate up` runs
from the wheel: migrations, built-in models and page are inside, and Ctrl-C leaves no process.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CLONE = Path(__file__).parents[1]
START_LIMIT_S = 90
STOP_LIMIT_S = 60

NO_TORCH = """
import importlib.util, sys
import service.rest.app, service.rpc.server, service.operations, service.cli
assert importlib.util.find_spec("torch") is None, "the api extra installed torch"
assert "torch" not in sys.modules
print("REST, gRPC and command line import without torch")
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="driftgate-wheel-") as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        api = environment(folder / "api", f"{wheel}[api]")
        run(api, "-c", NO_TORCH, cwd=folder)
        embedded = environment(folder / "embedded", "torch==2.13.0", f"{wheel}[embedded]")
        check_up(embedded, folder)


def build_wheel(folder: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, CLONE)
    (wheel,) = folder.glob("driftgate-*.whl")
    return wheel


def environment(folder: Path, *requirements: str) -> Path:
    """A clean virtual environment with the locked versions; returns its Python."""
    run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    for requirement in requirements:
        locked = CLONE / "requirements" / "main.txt"
        run(python, "-m", "pip", "install", "--quiet", "--constraint", locked, requirement)
    return python


def check_up(python: Path, folder: Path) -> None:
    """Starts `driftgate up` from the wheel, asks it for all that ships inside, and stops it."""
    http_port, grpc_port = free_ports(2)
    settings = {
        "DRIFTGATE_DATA_DIR": str(folder / "var"),
        "DRIFTGATE_HTTP_PORT": str(http_port),
        "DRIFTGATE_GRPC_PORT": str(grpc_port),
    }
    base = f"http://127.0.0.1:{http_port}"
    command = [python.with_name("driftgate"), "up"]
    up = subprocess.Popen(command, cwd=folder, env=clean_environ() | settings)
    try:
        wait_until_healthy(f"{base}/healthz", up)
        assert "<title>" in get(f"{base}/"), "the page is not in the wheel"
        job = post(f"{base}/v1/jobs", smallest_job())
        wait_until_succeeded(f"{base}/v1/jobs/{job['id']}")
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(STOP_LIMIT_S)
    left = [line for line in processes() if str(folder) in line]
    assert not left, f"left behind after Ctrl-C: {left}"
    print(
        "driftgate up ran from the wheel: migrations, models, page and a job; nothing left behind"
    )


def smallest_job() -> dict:
    return {
        "student": {"model": "builtin/arithmetic-student"},
        "teacher": {"model": "builtin/arithmetic-teacher"},
        "prompts": {"problems": {"source": "arithmetic"}},
        "steps": 1,
        "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 112},
    }


def wait_until_healthy(url: str, up: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        assert up.poll() is None, f"driftgate up ended with {up.returncode}"
        try:
            get(url)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"not healthy after {START_LIMIT_S} s")


def wait_until_succeeded(url: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        job = json.loads(get(url))
        if job["state"] == "succeeded":
            return
        assert job["state"] not in ("failed", "cancelled"), job["failure"]
        time.sleep(0.5)
    raise AssertionError(f"the job is still {job['state']} after {START_LIMIT_S} s")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def processes() -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return lines


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def clean_environ() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("DRIFTGATE_", "PYTHONPATH"))}


def run(*command: object, cwd: Path | None = None) -> None:
    subprocess.run([str(part) for part in command], check=True, cwd=cwd, env=clean_environ())


if __name__ == "__main__":
    main()
