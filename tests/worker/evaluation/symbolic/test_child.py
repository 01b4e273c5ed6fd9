import pytest

from worker.evaluation.symbolic.child import ForbiddenError, _forbid


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("compile", (b"__import__('os')", "<string>")),
        ("compile", (b"def _lambdifygenerated(k):\n    return k\n", "<lambdifygenerated-1>")),
        ("compile", (b"def monomial_mul(A, B):\n    return system(A)\n", "<string>")),
        ("open", ("/tmp/pwned", "w", 0)),
        ("os.system", (b"touch pwned",)),
        ("subprocess.Popen", ("sh", [], None, None)),
        ("socket.connect", (None, ("localhost", 80))),
    ],
)
def test_a_worker_compiles_no_text_and_reaches_nothing(event, arguments):
    with pytest.raises(ForbiddenError):
        _forbid(event, arguments)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("compile", (b"import re", "/usr/lib/python3/sympy/late.py")),
        ("compile", (None, "<string>")),
        ("compile", (b"def monomial_mul(A, B):\n    (a0,) = A\n    (b0,) = B\n", "<string>")),
        ("open", ("/usr/lib/python3/sympy/late.pyc", "rb", 0)),
        ("import", ("sympy", None)),
    ],
)
def test_a_worker_imports_what_it_needs_late(event, arguments):
    _forbid(event, arguments)
