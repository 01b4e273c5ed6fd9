"""What a study found while its last run goes on, as the OpenAPI description shows it: one metric of three."""

from typing import Any

from service.jobs.study_verdicts import StudyVerdict
from service.rest.study_answer_examples import STUDY_ID

_METRIC = "pass@8"


def _arm(
    name: str, figures: dict[str, Any], *, parts: tuple[float, float, float]
) -> dict[str, Any]:
    """An arm without a collapse; the parts are of seeds, samples and problems."""
    values = figures["values"]
    of_seeds = {
        "num_seeds": len(values),
        "seeds": range(1, len(values) + 1),
        "least": min(values),
        "greatest": max(values),
    }
    return {
        "arm": name,
        "num_runs": 8,
        "num_ended": len(values),
        "num_collapsed": 0,
        "collapse_rate": 0.0,
        "metrics": {_METRIC: figures | of_seeds | {"parts": _parts(parts)}},
    }


def _parts(parts: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("seed_sd", "sampling_sd", "problem_sd"), parts, strict=True))


EXAMPLE_VERDICT = StudyVerdict.model_validate(
    {
        "study_id": STUDY_ID,
        "state": "running",
        "is_final": False,
        "baseline": "ungated",
        "arms": [
            _arm(
                "ungated",
                {
                    "mean": 0.449,
                    "low": 0.431,
                    "high": 0.466,
                    "sd": 0.015,
                    "values": [0.44, 0.46, 0.435, 0.475, 0.44, 0.43, 0.455, 0.455],
                },
                parts=(0.0, 0.021, 0.026),
            ),
            _arm(
                "block",
                {
                    "mean": 0.414,
                    "low": 0.388,
                    "high": 0.441,
                    "sd": 0.032,
                    "values": [0.42, 0.445, 0.405, 0.425, 0.345, 0.405, 0.425, 0.445],
                },
                parts=(0.025, 0.020, 0.026),
            ),
            _arm(
                "shuffled-gate",
                {
                    "mean": 0.438,
                    "low": 0.409,
                    "high": 0.466,
                    "sd": 0.031,
                    "values": [0.455, 0.455, 0.455, 0.47, 0.4, 0.39, 0.44],
                },
                parts=(0.023, 0.021, 0.027),
            ),
        ],
        "contrast": {
            "arm": "block",
            "minus": "ungated",
            "metric": _METRIC,
            "pre_registered": True,
            "num_pairs": 8,
            "estimate": -0.034,
            "low": -0.058,
            "high": -0.010,
            "sd": 0.027,
            "p_value": 0.0078,
            "adjusted_p_value": None,
            "smallest_p_value": 0.0078,
            "can_resolve": True,
            "is_found": True,
            "smallest_detectable_difference": 0.034,
            "seeds_needed": 7,
            "parts": _parts((0.0, 0.029, 0.0)),
            "reading": "block − ungated, pass@8: -0.034 [-0.058, -0.010] over 8 shared seeds, p = 0.00781. block is "
            "lower.",
        },
        "exploratory": [
            {
                "arm": "shuffled-gate",
                "minus": "ungated",
                "metric": _METRIC,
                "pre_registered": False,
                "num_pairs": 7,
                "estimate": -0.010,
                "low": -0.037,
                "high": 0.017,
                "sd": 0.024,
                "p_value": 0.328,
                "adjusted_p_value": 1.0,
                "smallest_p_value": 0.0156,
                "can_resolve": True,
                "is_found": False,
                "smallest_detectable_difference": 0.038,
                "seeds_needed": 7,
                "parts": _parts((0.0, 0.029, 0.0)),
                "reading": "Exploratory: shuffled-gate − ungated, pass@8: -0.010 [-0.037, +0.017] over 7 shared seeds, "
                "p = 0.328, 1 after Holm. No difference was found; one of 0.038 would have been, four times in five.",
            }
        ],
        "left_out": [],
        "notes": [
            (
                "Intervals and p-values are over training seeds, for these problems. Another set of problems would "
                "move all runs together: problem_sd says how far."
            ),
            "1 of 24 runs have not ended: all figures may still change.",
        ],
    }
)
