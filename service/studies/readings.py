"""A difference of a study in a sentence, which promises no more than the figures hold."""

from service.jobs.study_verdicts import StudyDifference
from service.statistics.power import SIGNIFICANCE
from service.statistics.study_power import min_paired_seeds


def reading_of(found: StudyDifference, *, num_comparisons: int, smallest_p_value: float) -> str:
    """Leads with what was compared; the last clause is what to make of it.

    num_comparisons: that the p-value is adjusted for; 1 of the registered contrast. smallest_p_value: adjusted as well.
    """
    kind = "" if found.pre_registered else "Exploratory: "
    interval = (
        "" if found.low is None or found.high is None else f" [{found.low:+.3f}, {found.high:+.3f}]"
    )
    return (
        f"{kind}{found.arm} − {found.minus}, {found.metric}: {found.estimate:+.3f}{interval} over {_seeds(found)}, "
        f"{_chance(found)}. "
        f"{_conclusion(found, num_comparisons=num_comparisons, smallest_p_value=smallest_p_value)}"
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


def _conclusion(found: StudyDifference, *, num_comparisons: int, smallest_p_value: float) -> str:
    if not found.can_resolve:
        among, after = (
            (f" among {num_comparisons} comparisons", " after Holm")
            if num_comparisons > 1
            else ("", "")
        )
        return (
            f"So few seeds cannot resolve anything at 5 %{among} (p is at least {smallest_p_value:.3g}{after}): at least "
            f"{min_paired_seeds(SIGNIFICANCE / num_comparisons)} paired seeds."
        )
    if found.is_found:
        return f"{found.arm} is {'higher' if found.estimate > 0 else 'lower'}."
    if found.smallest_detectable_difference is None:
        return "No difference was found."
    return f"No difference was found; one of {found.smallest_detectable_difference:.3f} would have been, four times in five."
