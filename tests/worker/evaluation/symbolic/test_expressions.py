import pytest
import sympy

from worker.evaluation.symbolic.expressions import read_expression, read_matrix


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4210_7",
        "f'(x)",
        "12 3",
        "1 000",
        "A^T",
        r"\frac{dy}{dx}",
        "12:00",
        r"x\pmod{5}",
        r"\text{odd}",
        "Evelyn",
        r"1+2+\dots+n",
        r"\operatorname{zeros}(9,9)",
        '__import__("os")',
        r"\begin{pmatrix}1\end{pmatrix}",
        r"\frac{}{}",
        "x=5",
        "٤",
    ],
)
def test_what_the_parser_would_misread_is_not_read(text):
    assert read_expression(text) is None


def test_decimals_are_read_exactly():
    assert sympy.Rational(1, 10) in read_expression("x+0.1").args


def test_calls_of_unknown_functions_are_variables_and_i_is_imaginary():
    calls = read_expression("f(3)+f(x)")
    assert len(calls.free_symbols) == 2
    assert read_expression("2i").has(sympy.I)


def test_matrices_are_multiplied_out():
    identity = r"\begin{pmatrix}1&0\\0&1\end{pmatrix}"
    assert read_matrix(identity + identity) == sympy.eye(2)
    assert read_matrix("x+1") is None
