"""What a rollout engine cannot do, as far as a spec can ask for it."""

from collections.abc import Mapping

# vLLM raises lower temperatures to the first and refuses higher ones than the second.
VLLM_MIN_TEMPERATURE, VLLM_MAX_TEMPERATURE = 0.01, 2.0


def refuse_temperatures(engine: str, temperature_by_field: Mapping[str, float]) -> None:
    """Raises ValueError naming the first field that the engine would change or refuse."""
    if engine != "vllm":
        return
    for field, temperature in temperature_by_field.items():
        if not VLLM_MIN_TEMPERATURE <= temperature <= VLLM_MAX_TEMPERATURE:
            raise ValueError(
                f"{field} is {temperature:g}, but {VLLM_MIN_TEMPERATURE:g} to {VLLM_MAX_TEMPERATURE:g} is "
                "what compute.engine vllm samples at; 'transformers' takes others"
            )
