import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


def driftgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_version_is_the_installed_one(asked: str) -> None:
    answered = driftgate(asked)

    assert (answered.returncode, answered.stdout.strip()) == (0, version("driftgate"))


def test_migrate_makes_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTGATE_DATA_DIR", str(tmp_path / "var"))

    migrated = driftgate("migrate")

    assert (migrated.returncode, migrated.stdout) == (0, "The database is up to date.\n")
    assert (tmp_path / "var" / "driftgate.db").is_file()


def test_a_refusal_is_one_sentence_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setenv("DRIFTGATE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DRIFTGATE_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("DRIFTGATE_HTTP_PORT", str(unused_port))

    refused = driftgate("api")

    assert refused.returncode == 1
    assert refused.stderr.startswith("driftgate: UNSAFE_BIND: ")
    assert "Traceback" not in refused.stderr


def test_help_imports_no_server_and_no_torch() -> None:
    program = (
        "import sys\n"
        "import service.cli\n"
        "print(*{'torch', 'fastapi', 'grpc', 'sqlalchemy', 'celery'} & set(sys.modules))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )

    assert imported.stdout.strip() == ""
