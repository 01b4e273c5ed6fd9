"""The studies of docs/evidence.md: learning rates tuned, variants screened, and what was chosen confirmed on fresh seeds.

Tuning, screening, confirmation and calibration share neither seeds nor problems.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

from benchmarks.study.task import TEACHER_SUPPORT, base_spec, long_base_spec
from service.jobs.spec import JobSpec
from service.jobs.study_spec import ArmSpec, ContrastSpec, StudySpec

STEPS = 24
SCREENING_STEPS = 16
LEARNING_RATES = (1e-4, 2e-4, 4e-4, 8e-4)
# In names of arms before the learning rate, in 1e-4.
RATE_MARK = "-lr"
# The highest mean pass@8 over the tuning seeds; `make study STUDY=tune` finds them anew.
TUNED: Mapping[str, Mapping[str, float]] = {
    "sampled": {"none": 1e-4, "block": 1e-4, "newline": 2e-4, "shuffled": 2e-4},
    "topk": {"none": 4e-4, "block": 2e-4, "newline": 4e-4, "shuffled": 2e-4},
}
# The highest makes drift large on purpose.
SCREENING_RATES = LEARNING_RATES
LONG_STEPS = 16
LONG_LEARNING_RATES = (1e-4, 2e-4, 4e-4)
# As TUNED; `make study STUDY=tune-long` finds them anew.
LONG_TUNED: Mapping[str, Mapping[str, float]] = {
    "sampled": {"none": 2e-4, "block": 1e-4, "newline": 1e-4, "shuffled": 2e-4},
    "topk": {"none": 1e-4, "block": 4e-4, "newline": 2e-4, "shuffled": 1e-4},
}
TUNING_SEEDS = (101, 102, 103)
SCREENING_SEEDS = (201, 202, 203)
CONFIRMATION_SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)
CHOSEN_SEEDS = (601, 602, 603, 604, 605, 606, 607, 608)
TUNED_CHOSEN_SEEDS = (701, 702, 703, 704, 705, 706, 707, 708)
LONG_CHOSEN_SEEDS = (801, 802, 803, 804, 805, 806, 807, 808)
LONG_SEEDS = (501, 502, 503, 504, 505, 506)
CALIBRATION_SEEDS = tuple(range(301, 321))
TUNING_PROBLEMS, SCREENING_PROBLEMS, CONFIRMATION_PROBLEMS = 7, 8, 9
CALIBRATION_PROBLEMS, OTHER_TRAINING_PROBLEMS = 10, 11
LONG_TUNING_PROBLEMS, LONG_PROBLEMS = 12, 13
CHOSEN_PROBLEMS, LONG_SCREENING_PROBLEMS = 14, 15
TUNED_CHOSEN_PROBLEMS, LONG_CHOSEN_PROBLEMS = 16, 17

OBJECTIVES: Mapping[str, dict[str, Any]] = {
    "sampled": {"type": "sampled_token"},
    "topk": {"type": "teacher_topk", "k": TEACHER_SUPPORT},
}
# `shuffled` deals the block gate's values out at random: as much weighting, none of it where the drift is.
GATES: Mapping[str, dict[str, Any]] = {
    "none": {"granularity": "none"},
    "block": {"granularity": "block"},
    "newline": {"granularity": "newline_span"},
    "token": {"granularity": "token"},
    "shuffled": {"granularity": "block", "direction": "shuffled"},
}
PUBLISHED_GATES = ("none", "block", "newline")
CLIPS: Mapping[str, dict[str, Any]] = {"clip": {"clip_range": 0.2}, "noclip": {"clip_range": None}}
ADVANTAGES = ("frozen", "recomputed")
SCREENED_REUSE = (4, 8)
# What `make study STUDY=screen` found best among the arms that use a batch more than once, where drift is large, and at
# which reuse and learning rate.
CHOSEN = ("clip-recomputed-none", "clip-frozen-none")
CHOSEN_REUSE, CHOSEN_RATE = 4, 8e-4
# The same of all its learning rates: the best arm, the next of another advantage, and the published ones, each at its best.
TUNED_CHOSEN = ("clip-frozen-newline", "clip-frozen-none")
TUNED_CHOSEN_RATES: Mapping[tuple[str, str], float] = {
    ("frozen", "none"): 1e-4,
    ("frozen", "newline"): 2e-4,
    ("frozen", "block"): 1e-4,
    ("recomputed", "block"): 2e-4,
}
# What `make study STUDY=screen-long` found best, which was at this learning rate alone.
LONG_CHOSEN = ("clip-recomputed-none", "clip-frozen-none")
LONG_SCREENING_RATE = 2e-4


def tuning() -> StudySpec:
    """Every arm of the confirmation at each learning rate."""
    return _study(
        "tuning",
        _arms_at_rates(tuple(OBJECTIVES), LEARNING_RATES),
        base=base_spec(steps=STEPS, num_problems=100, problems_seed=TUNING_PROBLEMS),
        seeds=TUNING_SEEDS,
        contrast=(f"sampled-block{RATE_MARK}4", f"sampled-none{RATE_MARK}4"),
    )


def screening(num_epochs: int, learning_rate: float) -> StudySpec:
    """Clip × advantage × gate at one reuse and learning rate, and each batch used once, where nothing drifts."""
    return _screening(
        f"screening at reuse {num_epochs}",
        num_epochs,
        learning_rate,
        base=base_spec(steps=SCREENING_STEPS, num_problems=100, problems_seed=SCREENING_PROBLEMS),
    )


def long_screening(num_epochs: int, learning_rate: float = LONG_SCREENING_RATE) -> StudySpec:
    """As `screening`, of long responses."""
    return _screening(
        f"screening, long responses, at reuse {num_epochs}",
        num_epochs,
        learning_rate,
        base=long_base_spec(
            steps=LONG_STEPS, num_problems=32, problems_seed=LONG_SCREENING_PROBLEMS
        ),
    )


def chosen_contrast() -> StudySpec:
    """The best screened arm of those that use a batch more than once, against the published ungated one, and the
    block gate with either advantage.
    """
    return _study(
        "confirmation of the screened",
        [
            _screened("clip", advantage, gate, num_epochs=CHOSEN_REUSE, learning_rate=CHOSEN_RATE)
            for advantage, gate in product(ADVANTAGES, ("none", "block"))
        ],
        base=base_spec(steps=SCREENING_STEPS, num_problems=200, problems_seed=CHOSEN_PROBLEMS),
        seeds=CHOSEN_SEEDS,
        contrast=CHOSEN,
    )


def tuned_chosen_contrast() -> StudySpec:
    """The best screened arm that uses a batch more than once against the published ungated one, each at its own rate."""
    return _study(
        "confirmation of the screened, learning rates tuned",
        [
            _screened("clip", advantage, gate, num_epochs=CHOSEN_REUSE, learning_rate=rate)
            for (advantage, gate), rate in TUNED_CHOSEN_RATES.items()
        ],
        base=base_spec(
            steps=SCREENING_STEPS, num_problems=200, problems_seed=TUNED_CHOSEN_PROBLEMS
        ),
        seeds=TUNED_CHOSEN_SEEDS,
        contrast=TUNED_CHOSEN,
    )


def long_chosen_contrast() -> StudySpec:
    """As `chosen_contrast`, of long responses, and the block gate with a recomputed advantage."""
    return _study(
        "confirmation of the screened, long responses",
        [
            _screened(
                "clip",
                advantage,
                gate,
                num_epochs=CHOSEN_REUSE,
                learning_rate=LONG_SCREENING_RATE,
            )
            for advantage, gate in (
                ("frozen", "none"),
                ("recomputed", "none"),
                ("recomputed", "block"),
            )
        ],
        base=long_base_spec(steps=LONG_STEPS, num_problems=64, problems_seed=LONG_CHOSEN_PROBLEMS),
        seeds=LONG_CHOSEN_SEEDS,
        contrast=LONG_CHOSEN,
    )


def confirmation(objective: str) -> StudySpec:
    """The three published variants of an objective and the shuffled control, each at its tuned learning rate."""
    return _confirmation(
        f"confirmation, {objective}",
        objective,
        TUNED[objective],
        base=base_spec(steps=STEPS, num_problems=200, problems_seed=CONFIRMATION_PROBLEMS),
        seeds=CONFIRMATION_SEEDS,
    )


def long_tuning(objective: str) -> StudySpec:
    """As `tuning`, of long responses and one objective."""
    return _study(
        f"tuning, long responses, {objective}",
        _arms_at_rates((objective,), LONG_LEARNING_RATES),
        base=long_base_spec(steps=LONG_STEPS, num_problems=32, problems_seed=LONG_TUNING_PROBLEMS),
        seeds=TUNING_SEEDS,
        contrast=(f"{objective}-block{RATE_MARK}4", f"{objective}-none{RATE_MARK}4"),
    )


def long_confirmation(objective: str) -> StudySpec:
    """As `confirmation`, of long responses."""
    return _confirmation(
        f"confirmation, long responses, {objective}",
        objective,
        LONG_TUNED[objective],
        base=long_base_spec(steps=LONG_STEPS, num_problems=64, problems_seed=LONG_PROBLEMS),
        seeds=LONG_SEEDS,
    )


def calibration() -> StudySpec:
    """The same arm twice: the arms differ only in which 5,000 equally distributed problems they train on."""
    other = {"prompts": {"problems": {"seed": OTHER_TRAINING_PROBLEMS}}}
    return _study(
        "calibration: the same arm twice",
        [ArmSpec(name="same", changes={}), ArmSpec(name="same-again", changes=other)],
        base=base_spec(steps=STEPS, num_problems=200, problems_seed=CALIBRATION_PROBLEMS),
        seeds=CALIBRATION_SEEDS,
        contrast=("same-again", "same"),
    )


def _confirmation(
    name: str,
    objective: str,
    rates: Mapping[str, float],
    *,
    base: JobSpec,
    seeds: tuple[int, ...],
) -> StudySpec:
    """rates: of each gate its own."""
    return _study(
        name,
        [
            _arm(f"{objective}-{gate}", objective, gate, learning_rate=rate)
            for gate, rate in rates.items()
        ],
        base=base,
        seeds=seeds,
        contrast=(f"{objective}-block", f"{objective}-none"),
    )


def _screening(name: str, num_epochs: int, learning_rate: float, *, base: JobSpec) -> StudySpec:
    arms = [
        _screened(clip, advantage, gate, num_epochs=num_epochs, learning_rate=learning_rate)
        for clip, advantage, gate in product(CLIPS, ADVANTAGES, GATES)
    ]
    once = {"reuse": {"epochs": 1}, "optimizer": {"learning_rate": learning_rate}}
    return _study(
        f"{name}, learning rate {learning_rate:g}",
        [*arms, ArmSpec(name="reuse-1", changes=once)],
        base=base,
        seeds=SCREENING_SEEDS,
        contrast=("clip-frozen-block", "clip-frozen-none"),
    )


def _screened(
    clip: str, advantage: str, gate: str, *, num_epochs: int, learning_rate: float
) -> ArmSpec:
    return ArmSpec(
        name=f"{clip}-{advantage}-{gate}",
        changes={
            "objective": {"advantage": advantage} | CLIPS[clip],
            "gate": GATES[gate],
            "reuse": {"epochs": num_epochs},
            "optimizer": {"learning_rate": learning_rate},
        },
    )


def _arms_at_rates(objectives: tuple[str, ...], learning_rates: tuple[float, ...]) -> list[ArmSpec]:
    return [
        _arm(
            f"{objective}-{gate}{RATE_MARK}{round(rate * 1e4)}", objective, gate, learning_rate=rate
        )
        for objective, gate, rate in product(
            objectives, (*PUBLISHED_GATES, "shuffled"), learning_rates
        )
    ]


def _arm(name: str, objective: str, gate: str, *, learning_rate: float) -> ArmSpec:
    return ArmSpec(
        name=name,
        changes={
            "objective": OBJECTIVES[objective],
            "gate": GATES[gate],
            "optimizer": {"learning_rate": learning_rate},
        },
    )


def _study(
    name: str,
    arms: list[ArmSpec],
    *,
    base: JobSpec,
    seeds: tuple[int, ...],
    contrast: tuple[str, str],
) -> StudySpec:
    arm, minus = contrast
    return StudySpec(
        name=name,
        base=base,
        arms=tuple(arms),
        seeds=seeds,
        baseline=minus,
        contrast=ContrastSpec(arm=arm, metric="pass@8"),
        max_active_jobs=3,
        smallest_difference=0.03,
    )
