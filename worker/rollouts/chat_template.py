"""A problem as one turn of a conversation, as the tokenizer's own template writes it."""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import TemplateError

from service.errors import DriftgateError, ErrorCode, Violation

MARK = re.compile(r"<\|[^|<>\s'\"]{1,60}\|>")
MAX_MARKS_NAMED = 3


def render_conversation(
    text: str, *, tokenizer: Any, settings: Mapping[str, bool], field: str
) -> tuple[int, ...]:
    """Token ids of the user's turn, up to where the answer begins.

    Raises MODEL_INVALID where the template fails, and where it marks turns with what are no tokens: the
    model would read them letter by letter.
    """
    try:
        rendered = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            add_generation_prompt=True,
            tokenize=False,
            **settings,
        )
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise _invalid(f"fails on a conversation of one message ({reason})", field=field) from error
    _refuse_marks_that_are_no_tokens(rendered, text, tokenizer=tokenizer, field=field)
    # The template writes the text's beginning itself.
    return tuple(tokenizer.encode(rendered, add_special_tokens=False))


def _refuse_marks_that_are_no_tokens(
    rendered: str, text: str, *, tokenizer: Any, field: str
) -> None:
    marks = set(MARK.findall(rendered)) - set(MARK.findall(text))
    unknown = sorted(mark for mark in marks if _tokens_of(mark, tokenizer) != [mark])
    if unknown:
        named = ", ".join(repr(mark) for mark in unknown[:MAX_MARKS_NAMED])
        raise _invalid(
            f"writes {named}, and of its {len(marks)} marks {len(unknown)} are no tokens of the model",
            field=field,
        )


def _tokens_of(mark: str, tokenizer: Any) -> list[str]:
    ids = tokenizer.encode(mark, add_special_tokens=False)
    tokens: list[str] = tokenizer.convert_ids_to_tokens(ids)
    return tokens


def _invalid(what: str, *, field: str) -> DriftgateError:
    return DriftgateError(
        ErrorCode.MODEL_INVALID,
        f"The chat template of the tokenizer that writes {field} {what}. Set chat_template to 'never' in "
        "its format, or give the model's folder a template that fits.",
        [Violation(field, "a chat template that does not fit", "one that fits, or 'never'")],
    )
