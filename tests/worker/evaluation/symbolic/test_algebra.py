import pytest

from worker.evaluation.answers.comparison import same_answers
from worker.evaluation.answers.normalization import normalise
from worker.evaluation.symbolic.algebra import AlgebraicEquality


def same(one, other):
    return same_answers(normalise(one), normalise(other), AlgebraicEquality())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt2}"),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        (r"e^{i\pi}", "-1"),
        (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
        (r"\sqrt{-4}", "2i"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"\log_2 8", "3"),
        (r"\cos 60^\circ", "1/2"),
        (r"\binom{2026}{1013}", r"\frac{2026!}{1013!1013!}"),
        (r"2^{2005}", r"2\cdot 2^{2004}"),
        (r"\frac{1}{2004!}", "1/2004!"),
        (r"\sum_{k=1}^{10} k^2", "385"),
        (r"\int_0^1 x^2\,dx", "1/3"),
        (r"\lfloor 3.7\rfloor", "3"),
        ("5(3)", "15"),
        (r"2\frac{1}{2}x", r"\frac{5x}{2}"),
        (r"50\%", r"\frac{1}{2}"),
        (r"4 4/9\%", "40/900"),
        ("0.8660254037844386", r"\frac{\sqrt{3}}{2}"),
        ("3.14159265358979", r"\pi"),
        ("(r+5)^2", "(r+5)(r+5)"),
        ("x**2 - 1", "(x-1)*(x+1)"),
        ("n(n+1)/2", r"\frac{n^2+n}{2}"),
        (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
        ("n!", "n(n-1)!"),
        ("(-1)^n", "(-1)^{n+2}"),
        (r"\tan^2(y)+1", r"\sec^2(y)"),
        (r"\ln(x^2)", r"2\ln x"),
        (r"\sqrt{x^2}", "|x|"),
        (r"\frac{1}{3\sqrt[3]{x}^2}", r"\frac{1}{3x^{2/3}}"),
        ("2x+4y-3=0", r"y=-\frac{1}{2}x+\frac{3}{4}"),
        (r"\frac{x^2}{4}+\frac{y^2}{3}=1", "x^2/16+y^2/12=1/4"),
        ("y=2x", "x=y/2"),
        ("x<1", "-x>-1"),
        (r"x\leq1", r"-x\geq-1"),
        (r"1\leq|z|\leq\frac{3}{2}", r"z\in[-\frac{3}{2},-1]\cup[1,\frac{3}{2}]"),
        (r"|x-2|\leq 3", "[-1,5]"),
        (r"\mathbb{R}\setminus\{1\}", r"(-\infty,1)\cup(1,\infty)"),
        (r"(1,2]\cup[2,3)", "(1,3)"),
        (r"3\pm2", "5,1"),
        (r"1\pm\sqrt{19}", r"\{1-\sqrt{19},\sqrt{19}+1\}"),
        ("[x, 1 + x]", "[x, x + 1]"),
        (
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}+\begin{pmatrix}5&6\\7&8\end{pmatrix}",
            r"\begin{pmatrix}6&8\\10&12\end{pmatrix}",
        ),
        (r"2\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\4\end{pmatrix}"),
        (r"\begin{pmatrix}\cos^2x+\sin^2x&0\end{pmatrix}", r"\begin{pmatrix}1&0\end{pmatrix}"),
    ],
)
def test_algebra_sees_that_answers_are_the_same(one, other):
    assert same(one, other) is True
    assert same(other, one) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("4210_7", "4210"),
        ("1010_2", "10"),
        ("f'(x)", "f(x)"),
        ("5(3)", "8"),
        (r"2\frac{7}{3}", r"\frac{13}{3}"),
        ("12 3", "15"),
        ("3t", "3"),
        ("x+2h", "x+2"),
        ("X", "x"),
        ("A^T", "A"),
        ("12:00", "1:00"),
        (r"\text{SEAT}", r"\text{EAST}"),
        (r"\sqrt{x^2}", "x"),
        ("|x|", "x"),
        ("1-i", "1+i"),
        (r"\log 2", r"\ln 2"),
        ("x^2=-1", "x^2=-2"),
        ("x=x+1", "y=y+2"),
        ("0=1", "1=2"),
        ("18<19", "18<20"),
        ("x<1", "x>-1"),
        (r"x^2<4", "x<2"),
        ("|x|<1", "|y|<1"),
        (r"x<1 \text{ or } x>3", "1<x<3"),
        (r"(0,1)\cup(1,2)", "(0,2)"),
        (r"\mathbb{Z}", r"\mathbb{R}"),
        (r"\emptyset", "0"),
        ("5.00000001", r"\sqrt{25}"),
        ("3.14159", r"\pi"),
        ("262537412640768744", r"e^{\pi\sqrt{163}}"),
        (r"2^{\frac{1}{2^{1000}}}", "1"),
        ("2024^{4046}+1", "2024^{4046}"),
        (r"\frac{1}{0}", r"\frac{2}{0}"),
        ("9^{9^{9^{9}}}", "42"),
        ("9^{9^{9^{9}}}", "8^{9^{9^{9}}}"),
        (r"\cos(x)=\frac{42}{59}", r"\sin(x)=\frac{42}{59}"),
        ("f(x)=2x+1", "2y+1"),
        (r"F_n=\sum_{k=0}^{n-1}F_kF_{n-k-1}", r"F_n=\sum_{k=0}^{n-2}F_kF_{n-k-2}"),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    ],
)
def test_algebra_takes_no_other_answer_for_the_same(one, other):
    assert same(one, other) is not True
    assert same(other, one) is not True
