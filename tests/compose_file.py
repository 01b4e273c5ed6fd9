"""docker-compose.yml as Docker Compose itself resolves it; that needs no engine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[1]
COMPOSE = Path(sys.executable).with_name("docker-compose")
PASSWORDS = {"POSTGRES_PASSWORD": "p0stgres", "REDIS_PASSWORD": "r3dis"}


def resolve(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """`docker compose config` with these variables and no others."""
    if not COMPOSE.exists():
        pytest.skip("no docker-compose in this environment")
    command = [COMPOSE, "--env-file", "/dev/null", "--file", CHECKOUT / "docker-compose.yml"]
    return subprocess.run(
        [*command, *arguments, "config", "--format", "json"],
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def compose_config(*arguments: str, **variables: str) -> dict[str, Any]:
    """With every profile unless the arguments name one; the passwords are `PASSWORDS`."""
    profiles = arguments or ("--profile", "*")
    resolved = resolve(*profiles, **(PASSWORDS | variables))
    assert resolved.returncode == 0, resolved.stderr
    return json.loads(resolved.stdout)
