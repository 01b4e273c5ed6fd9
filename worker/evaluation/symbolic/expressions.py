r"""LaTeX expressions as sympy expressions, read by math-verify's parser after a look at what it would misread.

The parser takes `4210_7` for 4210, `f'` for f, `12 3` for a mixed number and `\operatorname{zeros}(9,9)` for an
order to build that matrix. So only listed commands are let through, and texts that are known to be misread are
not read at all. Numbers become rationals here, exactly and without sympy's evaluation of their text as Python.
"""

import re
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from sympy.core.function import AppliedUndef

from worker.evaluation.answers.brackets import tokens_of
from worker.evaluation.answers.rationals import as_rational
from worker.evaluation.answers.texts import has_words

_COMMAND = re.compile(
    r"\\(?:frac|sqrt|binom|pi|infty|cdot|times|div|sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh"
    r"|log|ln|exp|max|min|sum|prod|int|lfloor|rfloor|lceil|rceil|alpha|beta|gamma|delta|epsilon|varepsilon|zeta"
    r"|eta|theta|vartheta|iota|kappa|lambda|mu|nu|xi|rho|sigma|tau|upsilon|phi|varphi|chi|psi|omega|Delta|Theta"
    r"|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|vec|overline|bar|hat|tilde|angle|triangle|ell|hbar)"
)
_MATRIX_COMMAND = re.compile(_COMMAND.pattern + r"|\\(?:begin|end|det)\b.*")
_MISREAD = re.compile(
    r"['=<>?\"@#~`;:%]|[0-9]_|[0-9]\s+[0-9]|\^\{?(?:T|\\top)(?![A-Za-z])|\\frac\{d[^{}]*\}\{d[a-z]\}"
    r"|(?<![0-9])\.(?![0-9])|\.\.|\.(?=\\|$)|(?<!\\)\\[^A-Za-z\\]"
)
_MATRIX_NOTATION = re.compile(r"[&]|\\\\|\\(?:begin|end)")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{\w+\}")
_NO_FUNCTION = r"(?:(?<![A-Za-z\\])[A-Za-z](?<![fghFGH])|\\(?:pi|theta|alpha|beta|lambda|mu|phi) ?)"
# `5(3)` and `x(2)` are products, which the parser takes for 5 + 3 and for a function.
_PRODUCTS = re.compile(rf"(?<![\^_0-9])[0-9]+(?=\()|(?<=\))(?=[0-9(])|{_NO_FUNCTION}(?=\()")
_FIRST_INDEX = re.compile(r"(?<=_\{)([a-z])=")
_LOG_BASE = re.compile(r"\\log_([0-9A-Za-z]) ?(?=[0-9])")
_FRACTION_BEHIND_INTEGER = re.compile(r"(?<![\^_0-9.}])([0-9]+)(\\frac\{([0-9]+)\}\{([0-9]+)\})")
_CONFIG = ConversionConfig(lowercase_symbols=False)


class _BinomContext(Protocol):
    upper: object
    lower: object


class _ExactParser(_Latex2Sympy):
    """The parser with exact numbers, and without functions that compute while it reads."""

    def parse_number(self, text: str) -> sympy.Rational:
        value = Fraction(text.replace(",", ""))
        return sympy.Rational(value.numerator, value.denominator)

    def convert_binom(self, binom: _BinomContext) -> sympy.Expr:
        upper, lower = self.convert_expr(binom.upper), self.convert_expr(binom.lower)
        return sympy.binomial(upper, lower, evaluate=False)


@lru_cache(maxsize=1000)
def read_expression(text: str) -> sympy.Expr | None:
    """The expression, its calls of unknown functions taken as variables; None where it cannot be read."""
    if _MATRIX_NOTATION.search(text):
        return None
    number = as_rational(text)
    if number is None:
        expression = _read(text.removesuffix("%"), _COMMAND)
    else:
        expression = sympy.Rational(number.numerator, number.denominator)
    if not isinstance(expression, sympy.Expr):
        return None
    if text.endswith("%"):
        return sympy.Mul(expression, sympy.Rational(1, 100), evaluate=False)
    return expression


def read_matrix(text: str) -> sympy.MatrixBase | None:
    """The matrix that products and sums of matrices are; None where the text is none."""
    matrix = _read(text, _MATRIX_COMMAND)
    if isinstance(matrix, sympy.MatrixExpr):
        matrix = matrix.doit()
    return matrix if isinstance(matrix, sympy.MatrixBase) else None


def _read(text: str, command: re.Pattern[str]) -> object:
    text = _LOG_BASE.sub(r"\\log_{\1} ", text)
    if (
        not text
        or _MISREAD.search(_FIRST_INDEX.sub("", text))
        or has_words(_ENVIRONMENT.sub(" ", text))
    ):
        return None
    used = (token for token in tokens_of(text) if token[:1] == "\\" != token[1:])
    if not all(map(command.fullmatch, used)):
        return None
    text = _PRODUCTS.sub(lambda match: match[0] + r"\cdot ", _with_mixed_numbers(text))
    try:
        expression = _ExactParser(is_real=True, config=_CONFIG).parse(text)
    except (MemoryError, SystemError):  # the second is what the interpreter makes of the first
        raise
    except Exception:  # noqa: BLE001 the parser raises bare ones for what it cannot read
        return None
    return _without_calls(expression) if isinstance(expression, sympy.Basic) else expression


def _with_mixed_numbers(text: str) -> str:
    r"""`2\frac{1}{2}` as a sum and `2\frac{7}{3}` as a product, whatever stands behind them."""

    def spelled_out(match: re.Match[str]) -> str:
        sign = "+" if int(match[3]) < int(match[4]) else r"\cdot "
        return f"({match[1]}{sign}{match[2]})"

    return _FRACTION_BEHIND_INTEGER.sub(spelled_out, text)


def _without_calls(expression: sympy.Basic) -> sympy.Basic:
    """`f(3)` as a variable of that name, and `i` as the imaginary unit unless it counts something."""
    calls = {
        call: sympy.Symbol(f"call {sympy.srepr(call)}", real=True)
        for call in expression.atoms(AppliedUndef)
    }
    replaced = expression.xreplace(calls) if calls else expression
    imaginary = [symbol for symbol in replaced.free_symbols if symbol.name == "i"]
    return replaced.xreplace(dict.fromkeys(imaginary, sympy.I)) if imaginary else replaced
