r"""Units behind numbers: `10\text{ cm}^2` and `10 cm` are 10, but 10 cm are not 10 m.

A measure of the table below is kept as `\unit{name}`, so that two answers can be found to be in different
ones. Any other words (`\text{ apples}`) are dropped, unless they change the number before them.
"""

import re

_SYNONYMS = {
    "mm": "mm millimeter millimeters millimetre millimetres",
    "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres",
    "km": "km kilometer kilometers kilometre kilometres",
    "inch": "in inch inches",
    "foot": "ft foot feet",
    "yard": "yd yard yards",
    "mile": "mi mile miles",
    "mg": "mg milligram milligrams",
    "g": "g gram grams",
    "kg": "kg kilogram kilograms",
    "ounce": "oz ounce ounces",
    "pound": "lb lbs pound pounds",
    "ml": "ml milliliter milliliters",
    "l": "l liter liters litre litres",
    "gallon": "gal gallon gallons",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "day days",
    "week": "week weeks",
    "month": "month months",
    "year": "year years",
    "rate": "mph kph kmph",
    "dollar": "dollar dollars",
    "cent": "cent cents",
}
_MEASURES = {
    synonym: measure for measure, synonyms in _SYNONYMS.items() for synonym in synonyms.split()
}
# What a word of less than four letters has to be: `10 m` and `5 s` could as well be products.
_SHORT = {word for word in _MEASURES if len(word) == 3} | {"cm", "mm", "km", "kg", "ft", "lb", "oz"}
_KNOWN = {word for word in _MEASURES if len(word) > 1} | {
    "unit",
    "units",
    "degree",
    "degrees",
    "radians",
    "yuan",
    "euros",
}
# Words that change the number before them, so that they are no unit.
NO_UNIT = re.compile(
    r"\b(?:and|or|not|to|than|more|less|least|most|about|over|mod|base|percent|percentage|pct|half|halves"
    r"|thirds?|quarters?|fifths?|tenths?|dozens?|pairs?|hundreds?|thousands?|millions?|billions?|trillions?"
    r"|above|below|under|higher|lower|greater|fewer|larger|smaller|squared|cubed|factorial|choose|times|plus|minus|otherwise|a\.?m|p\.?m)\b",
    re.IGNORECASE,
)
_RATE = re.compile(r"\bper\b|/")
_POWER = r"(?:\s*\^\s*\{?[23]\}?)?"
_END = r"\s*\.?\s*(?=$|[,;)\]}]|\\\)|\\\]|\\text\s*\{\s*(?:,|and|or))"
_TEXT = r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mbox|hbox)\s*"
_TEXT_UNIT = re.compile(
    rf"(?<=[0-9A-Za-z}}.)])\s*{_TEXT}\{{([A-Za-z /.]{{1,40}})\}}{_POWER}"
    rf"(\s*/\s*{_TEXT}\{{[A-Za-z ]{{1,20}}\}}{_POWER})?{_END}"
)
_BARE_UNIT = re.compile(
    r"(?<=[0-9}])\s+(?:(?:square|cubic|sq\.?|cu\.?)\s+)?"
    rf"([a-z]{{4,20}}|{'|'.join(sorted(_SHORT))})\.?(?![A-Za-z]){_POWER}(/[a-z]+)?{_END}"
)
_UNIT = re.compile(r"\\unit\{(\w+)\}")


def mark_units(text: str) -> str:
    r"""The text with its units as `\unit{name}` or gone."""
    return _BARE_UNIT.sub(_marked, _TEXT_UNIT.sub(_marked, text))


def split_unit(value: str) -> tuple[str, str | None]:
    """A value and the measure that it is given in, None without one."""
    match = _UNIT.search(value)
    if match is None or match.end() < len(value):
        return value, None
    return value[: match.start()], match[1]


def without_units(text: str) -> str:
    return _UNIT.sub("", text)


def is_unit(word: str) -> bool:
    return word.lower() in _KNOWN


def _marked(match: re.Match[str]) -> str:
    words = match[1].strip().rstrip(".").lower()
    is_rate = match[2] is not None or _RATE.search(words)
    measure = "rate" if is_rate else _MEASURES.get(words.split()[-1] if words else "")
    is_letter = len(words) == 1 and measure is None  # `2\text{i}`, `3\mathrm{e}`
    behind_number = any(map(str.isdigit, match.string[: match.start()]))
    if is_letter or not behind_number or NO_UNIT.search(words):
        return match[0]
    return rf"\unit{{{measure}}}" if measure else ""
