"""What an attribute's type allows. Values are stored as texts, in one form for each value, and given out as typed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

from services.catalog.errors import InvalidAttribute
from shared.contracts.catalog.attributes import AttributeType, Choice
from shared.contracts.catalog.offers import AttributePart
from shared.contracts.catalog.shapes import AttributeValue, TypedValue
from shared.impex import cells
from shared.impex.cells import InvalidCell

_INTEGER = re.compile(r"[+-]?[0-9]{1,16}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Beyond it JavaScript no longer tells whole numbers apart (ECMA-262, Number.MAX_SAFE_INTEGER).
_LARGEST_INTEGER = 2**53 - 1
_BAR = "|"


class UnfitValue(Exception):
    """A value that is not what its attribute holds; `code` and `message` are for whoever gave it.

    `attribute` is the attribute's code.
    """

    def __init__(self, code: str, message: str, value: str = "", *, attribute: str = "") -> None:
        super().__init__(message)
        self.attribute = attribute
        self.value = value
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Definition:
    """What an attribute is called, and which values it may have."""

    code: str
    label: str
    labels: Mapping[str, str]
    type: AttributeType
    unit: str | None
    is_facet: bool
    choices: tuple[Choice, ...]

    def check(self) -> None:
        """Raises InvalidAttribute for a unit without a number, choices without a choice, and the same choice twice."""
        if self.unit is not None and self.type not in ("integer", "decimal"):
            raise _invalid("unit", "Only integer and decimal values have a unit.")
        if self.type in ("choice", "choices"):
            if not self.choices:
                raise _invalid("choices", f"An attribute of type {self.type} names its choices.")
        elif self.choices:
            raise _invalid("choices", "Only attributes of type choice and choices have choices.")
        values = [choice.value.casefold() for choice in self.choices]
        twice = next((choice.value for choice in self.choices if values.count(choice.value.casefold()) > 1), None)
        if twice is not None:
            raise _invalid("choices", f"The choice '{twice}' is there twice.")

    def fitted(self, value: AttributeValue) -> str:
        """The text under which a value is stored. Raises UnfitValue."""
        if self.type == "choices":
            return self._chosen(value)
        if isinstance(value, bool):
            value = "true" if value else "false"
            if self.type != "boolean":
                raise self._unfit(value)
        elif isinstance(value, int):
            if self.type not in ("integer", "decimal"):
                raise self._unfit(str(value))
            value = str(value)
        elif not isinstance(value, str):
            raise self._unfit(str(value))
        return value if self.type == "text" else self._canonical(value.strip())

    def typed(self, text: str) -> TypedValue:
        """A stored text as a value of this type; the text itself where a file brought what does not fit."""
        try:
            stored = self.fitted(text)
        except UnfitValue:
            return text
        match self.type:
            case "integer":
                return int(stored)
            case "boolean":
                return stored == "true"
            case "choices":
                return stored.split(_BAR)
        return stored

    def part(self, text: str, locales: Iterable[str]) -> AttributePart:
        """A stored text as a storefront shows it in the first of `locales` that it is said in."""
        locales = list(locales)
        return AttributePart(
            code=self.code,
            label=_said(self.labels, locales) or self.label,
            type=self.type,
            value=self.typed(text),
            text=self._shown(text, locales),
            unit=self.unit,
            is_facet=self.is_facet,
        )

    def _shown(self, text: str, locales: list[str]) -> str:
        if not self.choices:
            return text
        found = (self._by_value.get(value) for value in text.split(_BAR))
        shown = [_said(choice.labels, locales) or choice.label or choice.value for choice in found if choice]
        return ", ".join(shown) or text

    def _canonical(self, text: str) -> str:
        match self.type:
            case "integer" if _INTEGER.fullmatch(text) and abs(int(text)) <= _LARGEST_INTEGER:
                return str(int(text))
            case "decimal" if _DECIMAL.fullmatch(text):
                number = format(Decimal(text), "f")
                number = number.rstrip("0").rstrip(".") if "." in number else number
                return "0" if number == "-0" else number
            case "boolean":
                try:
                    return "true" if cells.boolean(text) else "false"
                except InvalidCell:
                    raise self._unfit(text) from None
            case "date" if _DATE.fullmatch(text):
                try:
                    return date.fromisoformat(text).isoformat()
                except ValueError:
                    raise self._unfit(text) from None
            case "choice" if (choice := self._by_word.get(text.casefold())) is not None:
                return choice.value
        raise self._unfit(text)

    def _chosen(self, value: AttributeValue) -> str:
        words = value.split(_BAR) if isinstance(value, str) else value
        if not isinstance(words, list) or not words:
            raise self._unfit(str(value))
        chosen = set()
        for word in map(str.strip, words):
            choice = self._by_word.get(word.casefold())
            if choice is None:
                raise self._unfit(word)
            chosen.add(choice.value)
        return _BAR.join(choice.value for choice in self.choices if choice.value in chosen)

    def _unfit(self, text: str) -> UnfitValue:
        said = f"{text[:100]!r} is not {_KINDS[self.type]}"
        if self.choices:
            known = ", ".join(repr(choice.value) for choice in self.choices[:20])
            said += f": {known}{' …' if len(self.choices) > 20 else ''}"
        return UnfitValue(f"not_{self.type}", f"'{self.code}': {said}.", text, attribute=self.code)

    @cached_property
    def _by_value(self) -> dict[str, Choice]:
        return {choice.value: choice for choice in self.choices}

    @cached_property
    def _by_word(self) -> dict[str, Choice]:
        """Choices by their values, and by labels that are one's alone: people and files say either."""
        words: dict[str, Choice] = {}
        ambiguous = set()
        for choice in self.choices:
            for label in {name.casefold() for name in (choice.label, *choice.labels.values()) if name}:
                if words.setdefault(label, choice) is not choice:
                    ambiguous.add(label)
        words = {word: choice for word, choice in words.items() if word not in ambiguous}
        return words | {choice.value.casefold(): choice for choice in self.choices}


_KINDS: dict[AttributeType, str] = {
    "text": "a text",
    "integer": "a whole number",
    "decimal": "a decimal number, such as 12.5",
    "boolean": "true or false",
    "date": "a day, such as 2026-03-01",
    "choice": "one of the choices",
    "choices": "one or more of the choices",
}


def plain_part(code: str, text: str) -> AttributePart:
    """An attribute that nobody has defined: a text under its own name."""
    return AttributePart(code=code, label=code, type="text", value=text, text=text)


def _said(words: Mapping[str, str], locales: Iterable[str]) -> str | None:
    return next((words[locale] for locale in locales if locale in words), None)


def _invalid(field: str, message: str) -> InvalidAttribute:
    return InvalidAttribute(message, [{"pointer": f"/{field}", "code": f"invalid_{field}", "message": message}])


def typed_values(stored: Mapping[str, Any], definitions: Mapping[str, Definition]) -> dict[str, TypedValue]:
    """Stored texts as typed values; those without a definition stay texts."""
    return {code: definitions[code].typed(text) if code in definitions else text for code, text in stored.items()}
