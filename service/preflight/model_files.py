"""What the files of a model folder say, read without torch, transformers or tokenizers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.preflight.architecture import Architecture, UnknownArchitecture, read_architecture
from service.preflight.json_files import invalid_model, read_json_object, read_optional
from service.preflight.tokenizer_files import (
    TokenizerFacts,
    read_chat_template,
    read_tokenizer,
    token_text,
)

WEIGHTS_FILE = "model.safetensors"
WEIGHTS_INDEX_FILE = "model.safetensors.index.json"
PICKLED_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """`vocab_size` counts the logits; `max_positions` is None where the config names no limit.

    bos_token: what the tokenizer puts before a text, None where it puts nothing there.
    chat_template: the tokenizer's default one, None where it has none.
    """

    vocab_size: int
    tokenizer: TokenizerFacts
    max_positions: int | None
    eos_token_ids: frozenset[int]
    bos_token: str | None
    chat_template: str | None
    architecture: Architecture | UnknownArchitecture

    @property
    def token_ids(self) -> Mapping[str, int]:
        return self.tokenizer.token_ids


def read_model_facts(folder: Path, *, reference: str, field: str) -> ModelFacts:
    """Facts of the folder. Raises MODEL_INVALID for missing or unreadable files and for remote code."""
    config = read_json_object(folder / "config.json", reference=reference, field=field)
    tokenizer_config, generation_config = (
        read_optional(folder / name, reference=reference, field=field)
        for name in ("tokenizer_config.json", "generation_config.json")
    )
    for name, content in (("config.json", config), ("tokenizer_config.json", tokenizer_config)):
        if "auto_map" in content:
            raise invalid_model(
                reference,
                f"{name} has an auto_map, which asks for code from the model folder, and such code "
                "is never run",
                field=field,
            )
    _check_architecture(config, reference=reference, field=field)
    tokenizer = read_tokenizer(folder / "tokenizer.json", reference=reference, field=field)
    text_config = config.get("text_config") if "vocab_size" not in config else config
    vocab_size = text_config.get("vocab_size") if isinstance(text_config, dict) else None
    if not isinstance(vocab_size, int) or vocab_size < 1:
        raise invalid_model(reference, "config.json names no vocab_size", field=field)
    largest_id = max(tokenizer.token_ids.values())
    if largest_id >= vocab_size:
        raise invalid_model(
            reference,
            f"tokenizer.json has token id {largest_id:,}, but config.json has vocab_size "
            f"{vocab_size:,}",
            field=field,
        )
    assert isinstance(text_config, dict)
    max_positions = text_config.get("max_position_embeddings")
    return ModelFacts(
        vocab_size=vocab_size,
        tokenizer=tokenizer,
        max_positions=max_positions if isinstance(max_positions, int) else None,
        eos_token_ids=_eos_token_ids(
            generation_config, config, tokenizer_config, tokenizer.token_ids
        ),
        bos_token=_leading_token(tokenizer_config),
        chat_template=read_chat_template(folder, tokenizer_config),
        architecture=read_architecture(config),
    )


def check_weights(folder: Path, *, reference: str, field: str) -> None:
    """Raises MODEL_INVALID unless the folder holds all of its weights as safetensors."""
    if (folder / WEIGHTS_FILE).exists():
        file_names = [WEIGHTS_FILE]
    elif (folder / WEIGHTS_INDEX_FILE).exists():
        file_names = _shard_names(folder, reference=reference, field=field)
    elif pickled := sorted(
        path.name for path in folder.iterdir() if path.suffix in PICKLED_SUFFIXES
    ):
        raise invalid_model(
            reference,
            f"its weights are pickled ({', '.join(pickled[:3])}), and unpickling runs code; "
            "convert them to safetensors",
            field=field,
        )
    else:
        raise invalid_model(
            reference, f"it has neither {WEIGHTS_FILE} nor {WEIGHTS_INDEX_FILE}", field=field
        )
    for name in file_names:
        _check_safetensors_header(folder / name, reference=reference, field=field)


def _check_architecture(config: Mapping[str, Any], *, reference: str, field: str) -> None:
    architectures = config.get("architectures") or []
    is_decoder = any("CausalLM" in str(name) or "LMHead" in str(name) for name in architectures)
    if config.get("is_encoder_decoder") or (architectures and not is_decoder):
        raise invalid_model(
            reference, f"{architectures} is not a causal language model", field=field
        )


def _eos_token_ids(
    generation_config: Mapping[str, Any],
    config: Mapping[str, Any],
    tokenizer_config: Mapping[str, Any],
    token_ids: Mapping[str, int],
) -> frozenset[int]:
    """What ends a response in the worker: the model's own tokens, and the tokenizer's."""
    given = generation_config.get("eos_token_id", config.get("eos_token_id"))
    ids = given if isinstance(given, list) else [given]
    named = token_text(tokenizer_config.get("eos_token"))
    own = token_ids.get(named) if named is not None else None
    return frozenset(token_id for token_id in (*ids, own) if isinstance(token_id, int))


def _leading_token(tokenizer_config: Mapping[str, Any]) -> str | None:
    # Where the flag is absent, tokenizer.json decides by itself, and both models' are seldom at odds.
    if not tokenizer_config.get("add_bos_token"):
        return None
    return token_text(tokenizer_config.get("bos_token"))


def _shard_names(folder: Path, *, reference: str, field: str) -> list[str]:
    index = read_json_object(folder / WEIGHTS_INDEX_FILE, reference=reference, field=field)
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise invalid_model(reference, f"{WEIGHTS_INDEX_FILE} has no weight_map", field=field)
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        # The loader joins these names to the folder, so a path here would leave the model root.
        if name != os.path.basename(name) or not name.endswith(".safetensors"):  # noqa: PTH119 text
            raise invalid_model(
                reference, f"{WEIGHTS_INDEX_FILE} names {name!r}, not a file beside it", field=field
            )
    return names


def _check_safetensors_header(path: Path, *, reference: str, field: str) -> None:
    """A pointer of git-lfs and a cut-off download have no header that fits into the file."""
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            header_bytes = int.from_bytes(file.read(8), "little")
            opening = file.read(1)
    except OSError as error:
        raise invalid_model(
            reference, f"{path.name} cannot be read ({error.strerror})", field=field
        ) from error
    if opening != b"{" or header_bytes + 8 > size_bytes:
        raise invalid_model(
            reference,
            f"{path.name} ({size_bytes:,} bytes) is not a whole safetensors file; a git-lfs "
            "pointer or an interrupted download looks like this",
            field=field,
        )
