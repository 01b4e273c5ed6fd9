"""What the files of a tokenizer say, read without tokenizers or transformers."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.preflight.json_files import invalid_model, read_json_object

CHAT_TEMPLATE_FILE = "chat_template.jinja"

# How a newline is spelt in a vocabulary: itself, byte-level BPE, byte fallback.
NEWLINE_SPELLINGS = ("\n", "Ċ", "<0x0A>")


@dataclass(frozen=True, slots=True)
class TokenizerFacts:
    """Of tokenizer.json: token to id, added tokens included, and the tokens marked as special."""

    token_ids: Mapping[str, int]
    special_tokens: frozenset[str]

    def has_newline_token(self) -> bool:
        return any(spelling in token for token in self.token_ids for spelling in NEWLINE_SPELLINGS)


def read_tokenizer(path: Path, *, reference: str, field: str) -> TokenizerFacts:
    """Facts of a tokenizer.json. Raises MODEL_INVALID."""
    return _read_version(path, _version_of(path), reference=reference, field=field)


def read_chat_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    """The template that the tokenizer applies by default, None where it has none.

    A file of its own goes before the configuration, whose named templates count by `default`.
    """
    try:
        return (folder / CHAT_TEMPLATE_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        given = tokenizer_config.get("chat_template")
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get("default")
    return given if isinstance(given, str) and given else None


def token_text(named: object) -> str | None:
    """The token's text, which a tokenizer_config.json gives as itself or in an object."""
    content = named.get("content") if isinstance(named, dict) else named
    return content if isinstance(content, str) else None


def _version_of(path: Path) -> tuple[int, int] | None:
    """What changes when the file is written anew; None where there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


# Reading 150,000 tokens takes a third of a second, and most jobs of a server name the same models.
@lru_cache(maxsize=4)
def _read_version(
    path: Path,
    version: tuple[int, int] | None,  # noqa: ARG001 part of the cache's key
    *,
    reference: str,
    field: str,
) -> TokenizerFacts:
    """Unigram vocabularies are lists of [token, score]."""
    tokenizer = read_json_object(path, reference=reference, field=field)
    model = tokenizer.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    special_tokens = set()
    try:
        if isinstance(vocabulary, list):
            token_ids = {str(token): index for index, (token, *_) in enumerate(vocabulary)}
        else:
            token_ids = {str(token): int(index) for token, index in (vocabulary or {}).items()}
        for added in tokenizer.get("added_tokens") or []:
            token_ids[str(added["content"])] = int(added["id"])
            if added.get("special"):
                special_tokens.add(str(added["content"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid_model(
            reference, f"tokenizer.json has a vocabulary that cannot be read ({error})", field=field
        ) from error
    if not token_ids:
        raise invalid_model(reference, "tokenizer.json has an empty vocabulary", field=field)
    return TokenizerFacts(MappingProxyType(token_ids), frozenset(special_tokens))
