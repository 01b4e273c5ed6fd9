"""A problem's text apart from how it is typed: what hashes of problems are made of."""

import hashlib
import unicodedata

from service.jobs.problem_sources import Problem


def normalised_text(text: str) -> str:
    """Unicode NFC, runs of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def problem_sha256(problem: Problem) -> str:
    """Hex digest of the problem's normalised text, whatever its id and answer."""
    return hashlib.sha256(normalised_text(problem.problem).encode()).hexdigest()
