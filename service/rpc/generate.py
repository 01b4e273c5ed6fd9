"""`python -m service.rpc.generate`: makes `service/rpc/generated` from `proto/`.

What protoc writes imports `driftgate.v1` from the top level; the package lives below
`service.rpc.generated`, so those imports are rewritten.
"""

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PROTO_ROOT = REPOSITORY / "proto"
GENERATED_ROOT = Path(__file__).resolve().parent / "generated"
GENERATED_PACKAGE = "service.rpc.generated"

TOP_LEVEL_IMPORT = re.compile(r"^from driftgate\.", flags=re.MULTILINE)


def generate(destination: Path) -> None:
    """Writes the package of messages, stubs and servicers below the folder `destination`."""
    # Of the development environment only; the service itself runs on what is committed.
    from grpc_tools import protoc  # type: ignore[import-untyped]  # noqa: PLC0415

    protos = sorted(PROTO_ROOT.rglob("*.proto"))
    exit_code = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO_ROOT}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
            f"--python_out={destination}",
            f"--pyi_out={destination}",
            f"--grpc_python_out={destination}",
            *(str(path) for path in protos),
        ]
    )
    if exit_code:
        raise RuntimeError(f"protoc ended with {exit_code} for {', '.join(map(str, protos))}")
    for path in (*destination.rglob("*_pb2*.py"), *destination.rglob("*_pb2.pyi")):
        text = path.read_text(encoding="utf-8")
        rewritten = TOP_LEVEL_IMPORT.sub(f"from {GENERATED_PACKAGE}.driftgate.", text)
        path.write_text(rewritten, encoding="utf-8")
    for folder in {path.parent for path in destination.rglob("*_pb2.py")}:
        for package in (folder, *folder.parents):
            if package == destination:
                break
            (package / "__init__.py").touch()


if __name__ == "__main__":
    generate(GENERATED_ROOT)
    sys.stdout.write(f"{GENERATED_ROOT} is made anew\n")
