"""What is allowed where pydantic refused a value, as a short phrase: `at least 1`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from service.jobs.text_patterns import IN_WORDS

Context = Mapping[str, Any]

NO_DEFAULT = "a value, for it has no default"
AN_OBJECT = "an object"
A_LIST = "a list"
A_TEXT = "a text"
A_WHOLE_NUMBER = "a whole number"
A_NUMBER = "a number"
A_TRUTH_VALUE = "true or false"
A_TIME = "a time of RFC 3339 with its zone, such as 2026-01-31T12:00:00Z"

_PHRASES: Mapping[str, str | Callable[[Context], str]] = {
    "missing": NO_DEFAULT,
    "union_tag_not_found": NO_DEFAULT,
    "extra_forbidden": "no such field",
    "model_type": AN_OBJECT,
    "model_attributes_type": AN_OBJECT,
    "dict_type": AN_OBJECT,
    "list_type": A_LIST,
    "tuple_type": A_LIST,
    "string_type": A_TEXT,
    "string_unicode": "a text of whole Unicode characters",
    "string_pattern_mismatch": lambda context: IN_WORDS[context["pattern"]],
    "string_too_short": lambda context: f"at least {_count(context['min_length'], 'character')}",
    "string_too_long": lambda context: f"at most {_count(context['max_length'], 'character')}",
    "too_short": lambda context: f"at least {_count(context['min_length'], 'item')}",
    "too_long": lambda context: f"at most {_count(context['max_length'], 'item')}",
    "int_type": A_WHOLE_NUMBER,
    "int_parsing": A_WHOLE_NUMBER,
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": A_WHOLE_NUMBER,
    "float_type": A_NUMBER,
    "float_parsing": A_NUMBER,
    "finite_number": "a finite number",
    "greater_than": lambda context: f"more than {_number(context['gt'])}",
    "greater_than_equal": lambda context: f"at least {_number(context['ge'])}",
    "less_than": lambda context: f"less than {_number(context['lt'])}",
    "less_than_equal": lambda context: f"at most {_number(context['le'])}",
    "bool_type": A_TRUTH_VALUE,
    "bool_parsing": A_TRUTH_VALUE,
    "enum": lambda context: _names(context["expected"]),
    "literal_error": lambda context: _names(context["expected"]),
    "union_tag_invalid": lambda context: _names(context["expected_tags"]),
    "timezone_aware": A_TIME,
    "datetime_type": A_TIME,
    "datetime_parsing": A_TIME,
    "datetime_from_date_parsing": A_TIME,
    "datetime_object_invalid": A_TIME,
    "value_error": lambda context: str(context["error"]),
}


def allowed_text(error: ErrorDetails) -> str:
    """The contract's own words where one of its checks refused the value."""
    phrase = _PHRASES.get(error["type"], error["msg"])
    return phrase if isinstance(phrase, str) else phrase(error["ctx"])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:,.15g}"


def _names(expected: str) -> str:
    """`'a', 'b' or 'c'`, and enumerations as Python prints them, without what is Python's."""
    return ", ".join(re.findall("'([^']*)'", expected))
