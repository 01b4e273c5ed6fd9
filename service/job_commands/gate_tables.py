"""A simulated gate as a table: at every reuse depth and over all, then what to try and what to bear in mind."""

from rich.console import Group, RenderableType
from rich.text import Text

from service.job_commands.display import safe, table
from service.jobs.gate_simulations import GateEffect, GateSimulation, SuggestedStrength
from service.jobs.loss_spec import AdaptiveStrength, GateSpec, Granularity

COLUMNS = ("updates", "tokens", "std", "min", "max", "ESS", "loss moved")


def simulation_page(simulation: GateSimulation) -> RenderableType:
    lines = table("reuse depth", *COLUMNS, "effect", right=COLUMNS)
    for one in simulation.by_reuse_depth:
        lines.add_row(f"{one.reuse_depth}", f"{one.num_updates:,}", *_figures(one), _effect(one))
    overall = simulation.overall
    lines.add_row("all", f"{len(simulation.updates):,}", *_figures(overall), _effect(overall))
    parts: list[RenderableType] = [
        Text(_gate_line(simulation.gate), style="bold"),
        Text(),
        lines,
        Text(),
        Text(f"Inert: less than {simulation.inert_below:.0%} of the loss is moved."),
    ]
    if simulation.suggested_strength is not None:
        parts.append(Text(_suggestion(simulation.suggested_strength)))
    return Group(*parts, *(safe(note) for note in simulation.notes))


def _figures(effect: GateEffect) -> tuple[str, ...]:
    return (
        f"{effect.num_tokens:,}",
        f"{effect.gate_std:.4f}",
        f"{effect.gate_min:.4f}",
        f"{effect.gate_max:.4f}",
        f"{effect.effective_sample_size:.4f}",
        f"{effect.share_of_loss_moved:.2%}",
    )


def _effect(effect: GateEffect) -> Text:
    return Text("inert", style="yellow") if effect.inert else Text("acts", style="green")


def _gate_line(gate: GateSpec) -> str:
    if gate.granularity is Granularity.NONE:
        return "No gate"
    strength = gate.strength
    shown = (
        f"adaptive {strength.adaptive:g}"
        if isinstance(strength, AdaptiveStrength)
        else f"{strength:g}"
    )
    sizes = {
        Granularity.BLOCK: f" of {gate.block_size}",
        Granularity.NEWLINE_SPAN: f" of {gate.min_span} to {gate.max_span}",
    }
    return (
        f"Gate: {gate.granularity}{sizes.get(gate.granularity, '')}, {gate.aggregation}, {gate.kernel}, strength {shown}, "
        f"normalised over {gate.normalization}, {gate.direction}"
    )


def _suggestion(suggested: SuggestedStrength) -> str:
    return (
        f"Suggested strength: {suggested.strength:.3g}, or adaptive {suggested.adaptive:g}: after the first update of a step "
        f"the median unit has drifted by {suggested.median_drift_nats:.2g} nats, and its gate would be "
        f"{suggested.median_unit_gate:.2f}."
    )
