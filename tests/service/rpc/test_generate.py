import subprocess
import sys
from pathlib import Path

from service.rpc.generate import GENERATED_ROOT, PROTO_ROOT, generate


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.py*")
        if "__pycache__" not in path.parts and path.parent != folder
    }


def test_the_committed_messages_are_those_of_the_protos(tmp_path):
    generate(tmp_path)

    assert contents(tmp_path) == contents(GENERATED_ROOT)
    assert "driftgate/v1/jobs_pb2_grpc.py" in contents(tmp_path)


def test_the_protos_pass_the_linter():
    buf = Path(sys.executable).parent / "buf"

    lint = subprocess.run([buf, "lint"], cwd=PROTO_ROOT, capture_output=True, check=False)

    assert (lint.returncode, lint.stdout) == (0, b"")


def test_the_protos_only_add_to_the_released_contract():
    buf = Path(sys.executable).parent / "buf"
    command = [buf, "breaking", "--against", "released.binpb"]

    breaking = subprocess.run(command, cwd=PROTO_ROOT, capture_output=True, check=False)

    assert (breaking.returncode, breaking.stdout) == (0, b"")
