"""The studies of docs/evidence.md: learning rates tuned, variants screened, and what was chosen confirmed on fresh seeds.

Tuning, screening, confirmation and calibration share neither seeds nor problems.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

from benchmarks.study.task import TEACHER_SUPPORT, base_spec
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
SCREENING_RATE = 8e-4
TUNING_SEEDS = (101, 102, 103)
SCREENING_SEEDS = (201, 202, 203)
CONFIRMATION_SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)
CALIBRATION_SEEDS = tuple(range(301, 321))
TUNING_PROBLEMS, SCREENING_PROBLEMS, CONFIRMATION_PROBLEMS = 7, 8, 9
CALIBRATION_PROBLEMS, OTHER_TRAINING_PROBLEMS = 10, 11

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


def tuning() -> StudySpec:
    """Every arm of the confirmation at each learning rate."""
    arms = [
        _arm(
            f"{objective}-{gate}{RATE_MARK}{round(rate * 1e4)}", objective, gate, learning_rate=rate
        )
        for objective, gate, rate in product(
            OBJECTIVES, (*PUBLISHED_GATES, "shuffled"), LEARNING_RATES
        )
    ]
    return _study(
        "tuning",
        arms,
        steps=STEPS,
        seeds=TUNING_SEEDS,
        num_problems=100,
        problems_seed=TUNING_PROBLEMS,
        contrast=(f"sampled-block{RATE_MARK}4", f"sampled-none{RATE_MARK}4"),
    )


def screening(num_epochs: int) -> StudySpec:
    """Clip × advantage × gate at one reuse, and each batch used once, where nothing drifts."""
    reuse = {"epochs": num_epochs}
    arms = [
        ArmSpec(
            name=f"{clip}-{advantage}-{gate}",
            changes={
                "objective": {"advantage": advantage} | CLIPS[clip],
                "gate": GATES[gate],
                "reuse": reuse,
                "optimizer": {"learning_rate": SCREENING_RATE},
            },
        )
        for clip, advantage, gate in product(CLIPS, ADVANTAGES, GATES)
    ]
    once = {"reuse": {"epochs": 1}, "optimizer": {"learning_rate": SCREENING_RATE}}
    return _study(
        f"screening at reuse {num_epochs}",
        [*arms, ArmSpec(name="reuse-1", changes=once)],
        steps=SCREENING_STEPS,
        seeds=SCREENING_SEEDS,
        num_problems=100,
        problems_seed=SCREENING_PROBLEMS,
        contrast=("clip-frozen-block", "clip-frozen-none"),
    )


def confirmation(objective: str) -> StudySpec:
    """The three published variants of an objective and the shuffled control, each at its tuned learning rate."""
    arms = [
        _arm(f"{objective}-{gate}", objective, gate, learning_rate=rate)
        for gate, rate in TUNED[objective].items()
    ]
    return _study(
        f"confirmation, {objective}",
        arms,
        steps=STEPS,
        seeds=CONFIRMATION_SEEDS,
        num_problems=200,
        problems_seed=CONFIRMATION_PROBLEMS,
        contrast=(f"{objective}-block", f"{objective}-none"),
    )


def calibration() -> StudySpec:
    """The same arm twice: the arms differ only in which 5,000 equally distributed problems they train on."""
    other = {"prompts": {"problems": {"seed": OTHER_TRAINING_PROBLEMS}}}
    return _study(
        "calibration: the same arm twice",
        [ArmSpec(name="same", changes={}), ArmSpec(name="same-again", changes=other)],
        steps=STEPS,
        seeds=CALIBRATION_SEEDS,
        num_problems=200,
        problems_seed=CALIBRATION_PROBLEMS,
        contrast=("same-again", "same"),
    )


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
    steps: int,
    seeds: tuple[int, ...],
    num_problems: int,
    problems_seed: int,
    contrast: tuple[str, str],
) -> StudySpec:
    arm, minus = contrast
    return StudySpec(
        name=name,
        base=base_spec(steps=steps, num_problems=num_problems, problems_seed=problems_seed),
        arms=tuple(arms),
        seeds=seeds,
        baseline=minus,
        contrast=ContrastSpec(arm=arm, metric="pass@8"),
        max_active_jobs=3,
        smallest_difference=0.03,
    )
