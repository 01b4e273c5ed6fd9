"""What the arms of a study change of its base spec, and arms that go by name."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from service.jobs.presets import published_presets
from service.jobs.results import View

MAX_NESTING = 16
MAX_VALUES = 20_000

# What says of which kind an object is; one of another kind shares no fields with it.
_DISCRIMINATORS = ("type", "source")
_MAX_EXACT_INTEGER = 2**53


class ArmPreset(View):
    """An arm that goes by its name."""

    name: str
    description: str
    changes: dict[str, Any] = Field(description="As `changes` of an arm.")


def with_changes(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with the changes put over it, object by object.

    As a JSON merge patch (RFC 7396), but for two rules. null is a value, because it means something in a spec: no
    clip. An object whose `type` or `source` is another takes the place of the whole object.
    """
    merged = dict(base)
    for name, value in changes.items():
        here = merged.get(name)
        if isinstance(value, Mapping) and isinstance(here, Mapping) and _is_alike(here, value):
            merged[name] = with_changes(here, value)
        else:
            merged[name] = value
    return merged


def plain_changes(value: object, *, depth: int = 0) -> Any:
    """Whole numbers as integers, however a transport writes them: gRPC has doubles only.

    A ValueError for what is nested too deeply or holds too much.
    """
    if depth > MAX_NESTING:
        raise ValueError(f"objects nested at most {MAX_NESTING} deep")
    match value:
        case bool() | None | str() | int():
            return value
        case float():
            is_whole = value.is_integer() and abs(value) <= _MAX_EXACT_INTEGER
            return int(value) if is_whole else value
        case Mapping():
            _check_size(value)
            return {str(key): plain_changes(each, depth=depth + 1) for key, each in value.items()}
        case list() | tuple():
            _check_size(value)
            return [plain_changes(each, depth=depth + 1) for each in value]
        case _:
            raise ValueError("what JSON can say")


def arm_presets() -> tuple[ArmPreset, ...]:
    """The six published variants, then the controls that a claim has to beat."""
    published = tuple(
        ArmPreset(
            name=preset.name,
            description=preset.description.partition(". ")[0] + ".",
            changes={
                "objective": preset.spec.objective.model_dump(mode="json"),
                "gate": preset.spec.gate.model_dump(mode="json"),
            },
        )
        for preset in published_presets()
    )
    return published + _CONTROLS


_CONTROLS = (
    ArmPreset(
        name="shuffled-gate",
        description="The base's gate with its values dealt out at random over the units: as much weighting, none "
        "of it where the drift is. Needs a gate.",
        changes={"gate": {"direction": "shuffled"}},
    ),
    ArmPreset(
        name="recomputed-advantage",
        description="The advantage from the current policy instead of the behaviour policy. Needs the sampled-token "
        "objective.",
        changes={"objective": {"advantage": "recomputed"}},
    ),
    ArmPreset(
        name="constant-advantage",
        description="The advantage is −1 whatever the teacher says. Needs the sampled-token objective.",
        changes={"objective": {"advantage": "constant"}},
    ),
    ArmPreset(
        name="no-clip",
        description="No PPO clip of the ratio; the dual clip stays. Needs the sampled-token objective.",
        changes={"objective": {"clip_range": None}},
    ),
    ArmPreset(
        name="reuse-1",
        description="Every rollout batch is trained on once, so that nothing drifts.",
        changes={"reuse": {"epochs": 1, "minibatches": 1}},
    ),
)


def _is_alike(here: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return all(value.get(name, here.get(name)) == here.get(name) for name in _DISCRIMINATORS)


def _check_size(values: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> None:
    if len(values) > MAX_VALUES:
        raise ValueError(f"at most {MAX_VALUES:,} values, not {len(values):,}")
