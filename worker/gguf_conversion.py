"""A GGUF file becomes a model folder: weights unpacked to float32 safetensors, config and tokenizer beside them.

Transformers unpacks the weights. The config is made from the file's header here, because transformers leaves
out the head width of Qwen3, and the file stands alone while it is read, because transformers would mix in
whatever config and tokenizer files lie next to it.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig

from service.preflight.gguf_facts import gguf_config, gguf_facts
from service.preflight.gguf_header import GgufError, GgufHeader

# Of what is written for one file; transformers' own version stands beside it in the key of the cache.
CONVERSION = 1


def convert_gguf(file: Path, header: GgufHeader, folder: Path) -> None:
    """Writes the model folder. Raises GgufError for a file that does not come out whole."""
    facts = gguf_facts(header)
    with tempfile.TemporaryDirectory(prefix="driftgate-gguf-") as alone:
        (Path(alone) / "model.gguf").symlink_to(file.resolve())
        model = _load_model(Path(alone), gguf_config(header))
        tokenizer = _load_tokenizer(Path(alone))
    known = tokenizer.get_vocab()
    differing = [token for token, index in facts.token_ids.items() if known.get(token) != index]
    if differing:
        raise GgufError(
            f"{len(differing):,} tokens got other ids than the file gives them, the first: "
            f"{differing[0][:40]!r}"
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _keep_only(facts.token_ids, folder / "tokenizer.json")


def _load_model(folder: Path, config: dict[str, Any]) -> Any:
    model, report = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file="model.gguf",
        config=AutoConfig.for_model(**config),
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    amiss = [name for kind in ("missing_keys", "mismatched_keys") for name in report[kind]]
    if amiss:
        raise GgufError(f"{len(amiss)} weights did not come out of it, the first: {amiss[0]}")
    return model


def _keep_only(token_ids: Mapping[str, int], path: Path) -> None:
    """Drops the defaults of the tokenizer's class, which transformers adds and the model has no row for, and
    tokens that only fill the embedding: no tokenizer of safetensors has these.
    """
    tokenizer = json.loads(path.read_text())
    tokenizer["added_tokens"] = [
        token for token in tokenizer["added_tokens"] if token["content"] in token_ids
    ]
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, dict):
        tokenizer["model"]["vocab"] = {
            token: token_id for token, token_id in vocabulary.items() if token in token_ids
        }
    path.write_text(json.dumps(tokenizer, ensure_ascii=False))


def _load_tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(
        folder, gguf_file="model.gguf", trust_remote_code=False, local_files_only=True
    )
