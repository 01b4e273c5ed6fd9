"""Low-rank adapters by the shapes of the layers that they stand beside."""

from service.jobs.spec import LoraSpec
from service.preflight.architecture import Architecture
from service.preflight.tensor_sizes import FLOAT32_BYTES


def adapter_parameters(architecture: Architecture, lora: LoraSpec) -> int:
    """A [rank, in] and B [out, rank] beside each target of every layer."""
    shapes = architecture.linear_layers()
    of_layer = sum(sum(shapes[name]) * lora.rank for name in set(lora.target_modules))
    return architecture.num_layers * of_layer


def adapter_activation_bytes(
    architecture: Architecture, lora: LoraSpec, *, num_tokens: int, element_bytes: int
) -> int:
    """What the adapters keep besides: what A gives, and below float32 a float32 copy of its input."""
    shapes = architecture.linear_layers()
    of_layer = 0
    for name in set(lora.target_modules):
        num_inputs, _ = shapes[name]
        num_copied = num_inputs if element_bytes < FLOAT32_BYTES else 0
        of_layer += (lora.rank + num_copied) * FLOAT32_BYTES
    return num_tokens * architecture.num_layers * of_layer
