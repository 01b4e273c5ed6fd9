"""The shapes of a decoder from its config.json, for the families whose parameters are known here.

Other families, and configs that leave a shape open, are unknown with the reason: a number that is not
counted would look like one that is. Absent fields have the defaults of transformers only where these
are rules (untied, no bias); a shape has to be given.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.jobs.plans import ParameterCounts

# model_type to whether queries, keys and values have a bias (None: as `attention_bias` says).
FAMILIES: Mapping[str, bool | None] = {
    "llama": None,
    "mistral": False,
    "qwen2": True,
    "qwen3": None,
}
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
)
MAX_SIZE = 2**24  # beyond it a config is in error


@dataclass(frozen=True, slots=True)
class Architecture:
    """A decoder of equal layers: attention with grouped queries, a gated MLP, two RMS norms each."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_key_value_heads: int
    head_dim: int
    has_tied_head: bool
    has_qkv_bias: bool
    has_output_bias: bool
    has_mlp_bias: bool
    has_query_key_norm: bool

    @property
    def query_size(self) -> int:
        return self.num_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Also that of the values."""
        return self.num_key_value_heads * self.head_dim

    @property
    def num_head_weights(self) -> int:
        """Elements of the output embedding, tied or not."""
        return self.vocab_size * self.hidden_size

    def linear_layers(self) -> Mapping[str, tuple[int, int]]:
        """Inputs and outputs of the linear layers inside each decoder layer, by name."""
        hidden, width = self.hidden_size, self.intermediate_size
        return {
            "q_proj": (hidden, self.query_size),
            "k_proj": (hidden, self.key_size),
            "v_proj": (hidden, self.key_size),
            "o_proj": (self.query_size, hidden),
            "gate_proj": (hidden, width),
            "up_proj": (hidden, width),
            "down_proj": (width, hidden),
        }

    def parameter_counts(self) -> ParameterCounts:
        body = self.num_layers * self._parameters_of_layer() + self.hidden_size  # the final norm
        head = 0 if self.has_tied_head else self.num_head_weights
        return ParameterCounts(
            embedding=self.num_head_weights,
            body=body,
            head=head,
            total=self.num_head_weights + body + head,
            tied=self.has_tied_head,
        )

    def _parameters_of_layer(self) -> int:
        num_parameters = sum(inputs * outputs for inputs, outputs in self.linear_layers().values())
        if self.has_qkv_bias:
            num_parameters += self.query_size + 2 * self.key_size
        if self.has_output_bias:
            num_parameters += self.hidden_size
        if self.has_query_key_norm:
            num_parameters += 2 * self.head_dim
        if self.has_mlp_bias:
            num_parameters += 2 * self.intermediate_size + self.hidden_size
        return num_parameters + 2 * self.hidden_size


@dataclass(frozen=True, slots=True)
class UnknownArchitecture:
    """Why the shapes are not known, as a clause without a full stop."""

    reason: str


def read_architecture(config: Mapping[str, Any]) -> Architecture | UnknownArchitecture:
    """The decoder that the config describes."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        return UnknownArchitecture(
            f"parameters are counted for {', '.join(sorted(FAMILIES))}, not for model_type {family!r}"
        )
    if "quantization_config" in config:
        return UnknownArchitecture("its weights are quantised (quantization_config)")
    sizes: dict[str, int] = {}
    for name, value in _given_sizes(config, family=family).items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
            return UnknownArchitecture(
                f"config.json gives {name} as {str(value)[:20]}, not as a whole number from 1 to "
                f"{MAX_SIZE:,}"
            )
        sizes[name] = value
    may_have_attention_bias = FAMILIES[family] is None
    has_attention_bias = may_have_attention_bias and bool(config.get("attention_bias"))
    return Architecture(
        vocab_size=sizes["vocab_size"],
        hidden_size=sizes["hidden_size"],
        intermediate_size=sizes["intermediate_size"],
        num_layers=sizes["num_hidden_layers"],
        num_heads=sizes["num_attention_heads"],
        num_key_value_heads=sizes["num_key_value_heads"],
        head_dim=sizes["head_dim"],
        has_tied_head=bool(config.get("tie_word_embeddings")),
        has_qkv_bias=has_attention_bias or bool(FAMILIES[family]),
        has_output_bias=has_attention_bias,
        has_mlp_bias=family == "llama" and bool(config.get("mlp_bias")),
        has_query_key_norm=family == "qwen3",
    )


def _given_sizes(config: Mapping[str, Any], *, family: str) -> dict[str, object]:
    """What the config gives, and where a family has a rule for what it leaves out, by that rule."""
    given: dict[str, object] = {name: config.get(name) for name in SIZES}
    if given["num_key_value_heads"] is None and family == "llama":
        given["num_key_value_heads"] = given["num_attention_heads"]
    hidden_size, num_heads = given["hidden_size"], given["num_attention_heads"]
    has_rule = given["head_dim"] is None and family != "qwen3"
    if has_rule and isinstance(hidden_size, int) and isinstance(num_heads, int) and num_heads > 0:
        given["head_dim"] = hidden_size // num_heads
    return given
