"""Seeds by derivation: every random stream is a function of what it is for, never of what ran before."""

import hashlib


def derive_seed(*parts: str | int) -> int:
    """A seed in [0, 2^63) that depends on every part and on their order; equal on every machine."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
