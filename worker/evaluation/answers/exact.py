"""Equality of the parts of answers as integers, rationals or strings: what needs no algebra."""

from fractions import Fraction

from worker.evaluation.answers.rationals import (
    as_rational,
    has_percent,
    is_rounding_of,
    same_percentage,
)
from worker.evaluation.answers.texts import as_ratio, canonical_text, has_words
from worker.evaluation.answers.tree import Answer, Relation
from worker.evaluation.answers.units import split_unit
from worker.evaluation.verdicts import Layer


class ExactEquality:
    """An `Equality`; `layer` is the last of its layers that it needed."""

    def __init__(self) -> None:
        self._layers = {Layer.INTEGER: False, Layer.RATIONAL: False, Layer.STRING: False}

    @property
    def layer(self) -> Layer:
        used = [layer for layer, is_used in self._layers.items() if is_used]
        return used[-1] if used else Layer.STRING

    def values(self, given: str, gold: str) -> bool | None:
        given, given_unit = split_unit(given)
        gold, gold_unit = split_unit(gold)
        if given_unit and gold_unit and given_unit != gold_unit:
            return self._decide(Layer.STRING, equal=False)
        given_number, gold_number = as_rational(given), as_rational(gold)
        if given_number is not None and gold_number is not None:
            return self._numbers((given, given_number), (gold, gold_number))
        for number, text in ((given_number, gold), (gold_number, given)):
            if number is not None and (ratio := as_ratio(text)) is not None:
                return self._decide(Layer.RATIONAL, equal=ratio == number)
        if canonical_text(given) == canonical_text(gold):
            return self._decide(Layer.STRING, equal=True)
        if has_words(given) or has_words(gold):
            return self._decide(Layer.STRING, equal=False)
        return None

    def relations(self, given: Relation, gold: Relation) -> bool | None:
        r"""True where the terms are the same one by one, or for `=` and `\neq` the other way round."""
        if given.signs != gold.signs:
            return None
        is_symmetric = given.signs in {("=",), (r"\neq",)}
        orders = [given.terms, given.terms[::-1]] if is_symmetric else [given.terms]
        for terms in orders:
            if all(self.values(one, other) for one, other in zip(terms, gold.terms, strict=True)):
                return True
        return None

    def wholes(self, _given: Answer, _gold: Answer, /) -> bool | None:
        return None

    def _numbers(self, given: tuple[str, Fraction], gold: tuple[str, Fraction]) -> bool | None:
        (given_text, given_number), (gold_text, gold_number) = given, gold
        are_integers = given_number.denominator == gold_number.denominator == 1
        layer = Layer.INTEGER if are_integers else Layer.RATIONAL
        if has_percent(given_text) != has_percent(gold_text):
            if given_number == gold_number:
                return self._decide(layer, equal=same_percentage(given_text, gold_text))
            part, other = (
                (given_number, gold_number)
                if has_percent(given_text)
                else (gold_number, given_number)
            )
            # 50 % against .5: not the same text, though the same by algebra.
            return None if part / 100 == other else self._decide(layer, equal=False)
        equal = (
            given_number == gold_number
            or is_rounding_of(given_text, gold_number)
            or is_rounding_of(gold_text, given_number)
        )
        return self._decide(layer, equal=equal)

    def _decide(self, layer: Layer, *, equal: bool) -> bool:
        self._layers[layer] = True
        return equal
