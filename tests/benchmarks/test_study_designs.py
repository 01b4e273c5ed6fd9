from itertools import product

import pytest

from benchmarks.study.designs import (
    LONG_TUNED,
    OBJECTIVES,
    RATE_MARK,
    SCREENED_REUSE,
    SCREENING_RATES,
    TUNED,
    calibration,
    chosen_contrast,
    confirmation,
    long_chosen_contrast,
    long_confirmation,
    long_screening,
    long_tuning,
    screening,
    tuned_chosen_contrast,
    tuning,
)
from benchmarks.study.tables import best_rates
from service.jobs.spec import JobSpec
from service.jobs.study_arms import with_changes
from service.jobs.study_verdicts import ArmFigures, ArmVerdict, StudyVerdict

STUDIES = {
    "tuning": tuning(),
    "calibration": calibration(),
    **{
        f"screening-{reuse}-{rate}": screening(reuse, rate)
        for reuse, rate in product(SCREENED_REUSE, SCREENING_RATES)
    },
    "screening-long": long_screening(4),
    **{f"tuning-long-{objective}": long_tuning(objective) for objective in OBJECTIVES},
    **{f"confirmation-{objective}": confirmation(objective) for objective in OBJECTIVES},
    "confirmation-chosen": chosen_contrast(),
    "confirmation-chosen-tuned": tuned_chosen_contrast(),
    "confirmation-chosen-long": long_chosen_contrast(),
    **{f"confirmation-long-{objective}": long_confirmation(objective) for objective in OBJECTIVES},
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_of_a_study_makes_a_spec_of_its_own(name):
    study = STUDIES[name]
    base = study.base.model_dump(mode="json")
    specs = [
        JobSpec.model_validate(with_changes(base, arm.changes)).model_dump_json()
        for arm in study.arms
    ]
    assert len(set(specs)) == len(study.arms)


CONFIRMED = [name for name in STUDIES if name.startswith("confirmation")]
CHOSEN_ON = [name for name in STUDIES if name not in CONFIRMED]


@pytest.mark.parametrize("name", CONFIRMED)
def test_what_is_confirmed_was_neither_tuned_nor_screened_on_its_seeds_or_problems(name):
    confirmed = STUDIES[name]
    for study in map(STUDIES.__getitem__, CHOSEN_ON):
        assert not set(study.seeds) & set(confirmed.seeds)
        assert study.base.evaluation != confirmed.base.evaluation
        assert study.base.prompts != confirmed.base.prompts


@pytest.mark.parametrize(
    ("tuned", "study_of"), [(TUNED, confirmation), (LONG_TUNED, long_confirmation)]
)
def test_the_confirmation_trains_at_the_tuned_learning_rates(tuned, study_of):
    for objective, rates in tuned.items():
        arms = study_of(objective).arms
        assert {
            arm.name.removeprefix(f"{objective}-"): arm.changes["optimizer"]["learning_rate"]
            for arm in arms
        } == rates


def test_an_arm_takes_the_rate_of_the_highest_score_and_the_lowest_of_equals():
    def verdict_of(arm, score):
        figures = ArmFigures(
            num_seeds=1,
            mean=score,
            low=None,
            high=None,
            sd=None,
            least=score,
            greatest=score,
            seeds=(101,),
            values=(score,),
            parts=None,
        )
        return ArmVerdict(
            arm=arm,
            num_runs=1,
            num_ended=1,
            num_collapsed=0,
            collapse_rate=0.0,
            metrics={"pass@8": figures},
        )

    scores = {2: 0.4, 4: 0.5, 8: 0.5}
    verdict = StudyVerdict(
        study_id="",
        state="completed",
        is_final=True,
        baseline="sampled-none",
        arms=tuple(
            verdict_of(f"sampled-none{RATE_MARK}{rate}", score) for rate, score in scores.items()
        ),
        contrast=None,
        exploratory=(),
        left_out=(),
        notes=(),
    )
    assert best_rates(tuning(), verdict).startswith("sampled-none: 0.0004  of ")
