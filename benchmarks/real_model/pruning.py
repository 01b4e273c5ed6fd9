"""A student from its teacher: the same model without some of its layers."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file, save_file

LAYER = re.compile(r"^(model\.layers\.)(\d+)(\..*)$")
WEIGHTS_FILE = "model.safetensors"


def prune_layers(whole: Path, into: Path, *, dropped: Sequence[int]) -> int:
    """Writes the model folder without the layers `dropped`, counted from 0; the layers that it has left."""
    shutil.copytree(whole, into)
    tensors = load_file(whole / WEIGHTS_FILE)
    config = json.loads((whole / "config.json").read_text())
    kept = [index for index in range(config["num_hidden_layers"]) if index not in dropped]
    places = {index: place for place, index in enumerate(kept)}
    pruned = {}
    for name, tensor in tensors.items():
        found = LAYER.match(name)
        if found is None:
            pruned[name] = tensor
        elif int(found[2]) in places:
            pruned[f"{found[1]}{places[int(found[2])]}{found[3]}"] = tensor
    (into / WEIGHTS_FILE).unlink()
    save_file(pruned, into / WEIGHTS_FILE, metadata={"format": "pt"})
    config["num_hidden_layers"] = len(kept)
    (into / "config.json").write_text(json.dumps(config, indent=2))
    return len(kept)
