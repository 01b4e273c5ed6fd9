"""Numbers as JSON columns keep them: JSON has no NaN and no infinities, and PostgreSQL takes none."""

import math


def json_number(value: float | None) -> float | str | None:
    """The number; one that JSON does not know as `NaN`, `Infinity` or `-Infinity`, in a string."""
    if value is None or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def number_of_json(value: float | str | None) -> float | None:
    """What `json_number` was given; None also for what was not finite in rows of the first schemas."""
    return float(value) if isinstance(value, str) else value
