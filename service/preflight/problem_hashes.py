"""Hashes of problems with their answers, so that a copy of a set is known whatever its layout.

Texts are normalised as in `service.jobs.problem_text`; an answer that is an integer has no plus sign, no
leading zeros and no `.0` besides.
"""

import hashlib
import json
import re
from collections.abc import Sequence

from service.jobs.problem_sources import Problem
from service.jobs.problem_text import normalised_text

INTEGER = re.compile(r"\+?(-?)0*([0-9]+)(?:\.0+)?")
CANONICAL_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def normalised_answer(answer: str) -> str:
    text = normalised_text(answer)
    integer = INTEGER.fullmatch(text)
    return "".join(integer.groups()) if integer else text


def answered_problem_sha256(problem: Problem) -> str:
    """Hex digest of one problem and its answer, both normalised; the id has no part in it."""
    # Normalised text has no newline, so the two cannot run into each other.
    lines = f"{normalised_text(problem.problem)}\n{normalised_answer(problem.answer or '')}"
    return hashlib.sha256(lines.encode()).hexdigest()


def problems_sha256(problems: Sequence[Problem]) -> str:
    """Hex digest of the problems in order, one canonical JSON line of id, problem and answer each.

    Texts are normalised, but the zeros of an answer stay: in chained arithmetic they are part of it.
    """
    digest = hashlib.sha256()
    for problem in problems:
        answer = None if problem.answer is None else normalised_text(problem.answer)
        line = CANONICAL_JSON.encode(
            {"answer": answer, "id": problem.id, "problem": normalised_text(problem.problem)}
        )
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()
