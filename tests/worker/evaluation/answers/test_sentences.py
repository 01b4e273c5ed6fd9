import pytest

from worker.evaluation.answers.sentences import answer_of_sentence


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 42.", "42"),
        ("**Answer: 42**", "42"),
        ("The number is not 10 which is 1,000.99€", "1,000.99"),
        ("not it's not 10 it's 1,000.99m²", "1,000.99"),
        ("Soucis : 2,74 $ a..", "2,74 $"),
        ("There are 4 objects and 4/9 remain.", "4/9"),
        ("The largest $n$ is 34.", "34"),
        ("We find that $x < 3$.", "$x < 3$"),
        ("Answer \\[ 9 \\]", "\\[ 9 \\]"),
        ("The solutions are 2, 3 and 5", "2, 3 and 5"),
        ("It is 2 + 3", "2 + 3"),
        ("The answer is sqrt(3)", "sqrt(3)"),
        ("The answer is (C).", "(C)"),
        ("The final answer is $(0, 1)$. I hope it is correct.", "$(0, 1)$"),
    ],
)
def test_the_last_value_of_a_sentence_is_its_answer(text, answer):
    assert answer_of_sentence(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "42",
        "x = 5 or x = 7",
        "-1 + sqrt(3)",
        "10 cm^2",
        "$125$ miles",
        "AZYUK2A",
        "Evelyn is taller",
        "the answer is not 42",
        "more than 42",
        "3 and above",
        "The answer is 5 million",
        r"\frac{1}{2} \text{ of the total 5}",
    ],
)
def test_a_text_without_prose_or_with_a_value_that_it_does_not_give_is_left_whole(text):
    assert answer_of_sentence(text) == text
