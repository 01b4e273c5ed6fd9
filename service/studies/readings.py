"""A difference of a study in a sentence, which promises no more than the figures hold."""

from service.jobs.study_verdicts import StudyDifference
from service.statistics.study_power import MIN_PAIRED_SEEDS


def reading_of(found: StudyDifference) -> str:
    """Leads with what was compared; the last clause is what to make of it."""
    kind = "" if found.pre_registered else "Exploratory: "
    interval = (
        "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    )
    return (
        f"{kind}{found.arm} − {found.minus}, {found.metric}: {found.estimate:+.3f}{interval} over {_seeds(found)}, "
        f"{_chance(found)}. {_conclusion(found)}"
    )


def _seeds(found: StudyDifference) -> str:
    match found.num_pairs:
        case 0:
            return "seeds of which they share none"
        case 1:
            return "1 shared seed"
        case number:
            return f"{number} shared seeds"


def _chance(found: StudyDifference) -> str:
    if found.adjusted_p_value is None:
        return f"p = {found.p_value:.3g}"
    return f"p = {found.p_value:.3g}, {found.adjusted_p_value:.3g} after Holm"


def _conclusion(found: StudyDifference) -> str:
    if not found.can_resolve:
        return (
            f"So few seeds cannot resolve anything at 5 % (p is at least {found.smallest_p_value:.3g}): at least "
            f"{MIN_PAIRED_SEEDS} paired seeds."
        )
    if found.is_found:
        return f"{found.arm} is {'higher' if found.estimate > 0 else 'lower'}."
    if found.smallest_detectable_difference is None:
        return "No difference was found."
    return f"No difference was found; one of {found.smallest_detectable_difference:.3f} would have been, four times in five."
