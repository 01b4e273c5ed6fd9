"""`python -m worker.grade_file FILE`: grades the rows of a JSONL file, one JSON line each, then a summary.

A row has a `gold` answer, a `prediction`, perhaps an `id` (else the line's number) and a `form`: `response` (the
default: the answer is in a box), `short` (the prediction is the answer) or `mined` (the answer would have to
be dug out of prose, which is not done: `no_answer`).
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from worker.evaluation.grader import Grader, GradingRequest, grader_version
from worker.evaluation.grading import Layer, Outcome, Rule, Verdict
from worker.evaluation.symbolic.pool import GraderUnavailableError

# Every process has its next question while the line of the last one is written.
ROWS_PER_WORKER = 8
STATUS_BAD_FILE = 2


class Form(StrEnum):
    RESPONSE = "response"
    SHORT = "short"
    MINED = "mined"


@dataclass(frozen=True, slots=True)
class Row:
    id: str | int
    gold: str
    prediction: str
    form: Form


class BadFileError(ValueError):
    """A file, or a row of it, that cannot be graded."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 when every row has its line, whatever the verdicts; 2 for a file that is refused."""
    parser = argparse.ArgumentParser(prog="driftgate grade", description=__doc__)
    parser.add_argument("file", type=Path, help="rows with `gold` and `prediction`, as JSONL")
    parser.add_argument("--workers", type=int, default=1, help="processes for algebra (1)")
    options = parser.parse_args(arguments)
    if options.workers < 1:
        parser.error(f"--workers is {options.workers}, but at least 1 is needed")
    try:
        print_verdicts(read_rows(options.file), num_workers=options.workers)
    except BadFileError as refusal:
        sys.stderr.write(f"driftgate grade: {refusal}\n")
        return STATUS_BAD_FILE
    except GraderUnavailableError as error:
        sys.stderr.write(f"driftgate grade: {error}\n")
        return 1
    return 0


def read_rows(path: Path) -> list[Row]:
    """All rows of a file. Raises BadFileError with the line of the first that cannot be graded."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFileError(f"{path} cannot be read: {error}") from None
    return [_row(line, number) for number, line in enumerate(lines, start=1) if line.strip()]


def print_verdicts(rows: Sequence[Row], *, num_workers: int) -> None:
    """Writes the lines as they come, each at once."""
    started = time.monotonic()
    verdicts: Counter[str] = Counter()
    layers: Counter[str] = Counter()
    remaining = iter(rows)
    with Grader(num_workers=num_workers) as grader:
        while chunk := list(islice(remaining, _chunk_size(num_workers))):
            for row, verdict in _grade(chunk, grader):
                verdicts[verdict.outcome] += 1
                layers[verdict.layer] += 1
                _print(_line(row, verdict))
    summary = {
        "rows": len(rows),
        "verdicts": {outcome.value: verdicts[outcome] for outcome in Outcome},
        "layers": {layer.value: layers[layer] for layer in Layer},
        "seconds": round(time.monotonic() - started, 3),
        "grader": grader_version(),
    }
    _print({"summary": summary})


def _chunk_size(num_workers: int) -> int:
    """One process has nothing to wait for, so that its lines are written one by one."""
    return 1 if num_workers == 1 else num_workers * ROWS_PER_WORKER


def _grade(rows: Sequence[Row], grader: Grader) -> Iterator[tuple[Row, Verdict]]:
    rules = {Form.RESPONSE: Rule.BOXED, Form.SHORT: Rule.SHORT}
    gradable = [row for row in rows if row.form in rules]
    requests = [GradingRequest(row.prediction, row.gold, rules[row.form]) for row in gradable]
    graded = iter(grader.grade(requests))
    for row in rows:
        mined = Verdict(Outcome.NO_ANSWER, Layer.EXTRACTION, None)
        yield row, next(graded) if row.form in rules else mined


def _line(row: Row, verdict: Verdict) -> dict[str, object]:
    return {
        "id": row.id,
        "verdict": verdict.outcome,
        "layer": verdict.layer,
        "extracted": verdict.extracted,
        "ms": round(verdict.milliseconds, 3),
    }


def _row(line: str, number: int) -> Row:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"line {number} is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadFileError(f"line {number} is {type(fields).__name__}, but a row is an object")
    texts = {}
    for name in ("gold", "prediction"):
        text = fields.get(name)
        if not isinstance(text, str):
            given = "is missing" if name not in fields else f"is {type(text).__name__}"
            raise BadFileError(f"line {number}: `{name}` {given}, but a string is needed")
        texts[name] = text
    if not texts["gold"].strip():
        raise BadFileError(f"line {number}: `gold` is empty")
    form = fields.get("form", Form.RESPONSE)
    if form not in set(Form):
        allowed = ", ".join(Form)
        raise BadFileError(f"line {number}: `form` is {form!r}; allowed: {allowed}")
    row_id = fields.get("id", number)
    if not isinstance(row_id, str | int):
        raise BadFileError(
            f"line {number}: `id` is {type(row_id).__name__}, but a string is needed"
        )
    return Row(row_id, texts["gold"], texts["prediction"], Form(form))


def _print(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
