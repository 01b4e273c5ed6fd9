"""How commands print: tables in colour on a terminal, plain lines where a program or a file reads them."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import typer
from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from service.jobs.state import JobState

Answer = TypeVar("Answer", bound=BaseModel)

# A line that a program reads must not be folded.
WIDTH_OF_A_PIPE = 4096
NOTHING = "–"
STYLES = {
    JobState.RUNNING: "cyan",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.CANCELLING: "yellow",
    JobState.PAUSED: "magenta",
    JobState.PAUSING: "magenta",
}


def console() -> Console:
    """Standard output; without colours and folded lines where it is no terminal."""
    terminal = Console(highlight=False)
    if terminal.is_terminal:
        return terminal
    return Console(highlight=False, width=WIDTH_OF_A_PIPE, color_system=None)


def print_page(page: RenderableType) -> None:
    """Tables pad their lines; what a program reads has no spaces at the ends."""
    output = console()
    if output.is_terminal:
        output.print(page)
        return
    with output.capture() as capture:
        output.print(page)
    typer.echo("\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n")))


def show_answer(answer: Answer, page: Callable[[Answer], RenderableType], *, as_json: bool) -> None:
    """Prints the answer as the API's JSON in one line, or as its page."""
    if as_json:
        typer.echo(answer.model_dump_json())
    else:
        print_page(page(answer))


def show_answers(
    answers: Sequence[Answer],
    page: Callable[[Sequence[Answer]], RenderableType],
    *,
    as_json: bool,
) -> None:
    """As `show_answer`, with a line of JSON for each."""
    if as_json:
        for answer in answers:
            typer.echo(answer.model_dump_json())
    else:
        print_page(page(answers))


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns in `right` hold numbers."""
    box = SIMPLE_HEAD if console().is_terminal else None
    new = Table(box=box, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        new.add_column(column, justify="right" if column in right else "left")
    return new


def safe(value: object, *, style: str = "") -> Text:
    """Text of anyone's as it stands: no markup, and nothing that steers a terminal."""
    shown = "".join(
        character if character.isprintable() or character == "\n" else "�"
        for character in str(value)
    )
    return Text(shown, style=style)


def state_text(state: JobState) -> Text:
    return Text(state.value, style=STYLES.get(state, ""))


def time_text(time: datetime | None) -> str:
    return NOTHING if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def age_text(since: datetime, *, now: datetime) -> str:
    """How long ago in its largest unit, such as `3 min`."""
    seconds = max((now - since).total_seconds(), 0.0)
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def duration_text(seconds: float) -> str:
    """Hours, minutes and seconds, such as `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
