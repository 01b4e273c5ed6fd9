import pytest

from worker.evaluation.answers.extraction import extract_boxed, gold_answer


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        (r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"a stray } and a stray { do not hide \boxed{5}", "5"),
        (r"\boxed{4} and then cut off in \boxed{5", "4"),
        (r"<think>\boxed{1}</think> \boxed{2}", "2"),
        (r"<think>\boxed{1}</think> none", None),
        (r"<think>still at it \boxed{1}", None),
        (r"the template opened it: \boxed{1}</think> \boxed{2}", "2"),
        (r"\boxed 5", None),
        (r"\\boxed{5}", None),
    ],
)
def test_the_last_balanced_box_after_thinking_is_the_answer(response, extracted):
    assert extract_boxed(response) == extracted


@pytest.mark.parametrize(
    ("response", "extracted"),
    [
        (r"\boxed{1} and \boxed{2}", "1, 2"),
        (r"\boxed{1}, \boxed{2}$ and $\boxed{3}", "1, 2, 3"),
        (r"\boxed{k = 45} \quad \text{and} \quad \boxed{n = 2}", "k = 45, n = 2"),
        (r"$x=\boxed{2}$ or $x=\boxed{3}$", "2, 3"),
        (r"\boxed{18} or \boxed{19}", "18, 19"),
        (r"\boxed{7}, \boxed{7}", "7"),
        (r"\boxed{7} \boxed{8}", "8"),
        (r"\boxed{19}. Wait, that is wrong. So the answer is \boxed{18}.", "18"),
    ],
)
def test_boxes_that_only_separators_part_are_one_answer(response, extracted):
    assert extract_boxed(response) == extracted


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (" $42$ ", "$42$"),
        (r"Thus it is $\boxed{42}$ percent.", "42"),
        (r"\boxed{1} papers and \boxed{2} bins", "1, 2"),
        (r"\boxed{1} no no no no no \boxed{2}", "2"),
        (r"so \\boxed{004}.\n\n**Final Answer**\n\\boxed{004}", "004"),
        (r"\boxed{x = 1 \text{ and } x = -1", r"x = 1 \text{ and } x = -1"),
    ],
)
def test_a_gold_answer_is_taken_out_of_the_solution_that_it_comes_in(gold, answer):
    assert gold_answer(gold) == answer
