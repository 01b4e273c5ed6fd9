"""The models that ship: each teacher solves what its course is about better than its student, as the course writes it."""

import random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from service.jobs.arithmetic import ANSWER_MARK, Chain, arithmetic_problems, random_chain
from service.jobs.problem_sources import ArithmeticSource
from service.preflight.folder_signature import BUILTIN_FOLDER
from worker.builtin_models import (
    LONG,
    SHORT,
    Course,
    character_tokenizer,
    counted_solution,
    supervised_batch,
)

EACH_COURSE = pytest.mark.parametrize("course", [SHORT, LONG], ids=lambda course: course.name)


@pytest.mark.parametrize(("course", "least"), [(SHORT, 12), (LONG, 6)])
def test_the_teacher_solves_many_problems_of_16_and_the_student_fewer(
    course: Course, least: int
) -> None:
    solved = {"student": 0, "teacher": 0}
    # Of one length, so that a batch needs no padding.
    source = ArithmeticSource(
        num_problems=16,
        min_operations=course.min_operations,
        max_operations=course.min_operations,
        seed=77,
    )
    problems = arithmetic_problems(source, split="held-out")
    for who in solved:
        folder = BUILTIN_FOLDER / f"{course.name}-{who}"
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        prompts = torch.tensor([tokenizer.encode(problem.problem) for problem in problems])
        answered = model.generate(prompts, do_sample=False, max_new_tokens=512)
        texts = tokenizer.batch_decode(answered[:, prompts.shape[1] :], skip_special_tokens=True)
        solved[who] = sum(
            text.rpartition(ANSWER_MARK)[2] == problem.answer
            for text, problem in zip(texts, problems, strict=True)
        )
    assert solved["teacher"] >= least
    assert solved["student"] < solved["teacher"]


def test_a_counted_solution_says_what_is_left_before_each_addition() -> None:
    chain = Chain(start=2, operations=(("+", 3), ("*", 2), ("*", 0)))

    assert counted_solution(chain) == (
        "a2+3 32+1=3 23+1=4 14+1=5=5\nb5*2 20+5=5 15+5=0=0\nc0*0=0\n#### 500"
    )


def test_counted_solutions_of_14_operations_are_about_550_tokens() -> None:
    stream = random.Random(3)
    chains = [random_chain(stream, min_operations=14, max_operations=14) for _ in range(400)]
    lengths = [len(counted_solution(chain)) for chain in chains]
    assert 540 < sum(lengths) / len(lengths) < 560
    assert max(lengths) < 768


@EACH_COURSE
@pytest.mark.parametrize("step", [1, 600, 1000])
def test_every_text_of_a_course_has_tokens(course: Course, step: int) -> None:
    tokenizer = character_tokenizer()
    token_ids_BT, labels_BT = supervised_batch(random.Random(1), tokenizer, course, step=step)
    assert (labels_BT != tokenizer.pad_token_id).all()  # which stands for what is unknown
    for row in token_ids_BT.tolist():
        text = row[: row.index(tokenizer.eos_token_id)]
        assert tokenizer.pad_token_id not in text
        assert tokenizer.encode(tokenizer.decode(text)) == text
