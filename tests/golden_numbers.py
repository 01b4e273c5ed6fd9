"""The golden numbers, from DRIFTGATE_GOLDEN_DIR when it is set, else from the copy beside this file."""

import json
import os
from pathlib import Path

GOLDEN_DIR = Path(os.environ.get("DRIFTGATE_GOLDEN_DIR", Path(__file__).parent / "golden"))


def golden_cases(name: str) -> list[dict]:
    return json.loads((GOLDEN_DIR / f"{name}.json").read_text())
