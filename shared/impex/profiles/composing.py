"""Values that several columns of Crossdock's own file make together, in place of what the converters made of each."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from shared.contracts.catalog.shapes import OrderLimits
from shared.impex.cells import InvalidCell
from shared.impex.rows import MediumRecord, OrderLimitsRecord, TextRecord
from shared.measures import Dimensions, Weight
from shared.validation import first_sentence

MEDIA_KINDS = ("video", "audio", "document", "model_3d", "other")
SIDES = ("length", "width", "height")
_LIMITS = ("minimum", "maximum", "step")
# What `measure` makes dimensions of.
MEASURED = frozenset((*SIDES, "dimension_unit"))
COMPOSED = frozenset(
    (
        *("weight_value", "weight_unit", *MEASURED, "barcodes", "variant_attributes"),
        *(f"order_{name}" for name in _LIMITS),
    )
)


def finish_variant(values: dict[str, Any]) -> None:
    """Raises InvalidCell for columns that contradict each other."""
    if "variant_attributes" in values:
        values["attributes"] = values.pop("variant_attributes")
    weigh(values)
    measure(values)
    _limit(values)
    _check_barcodes(values)


def weigh(values: dict[str, Any]) -> None:
    """Make a weight and its grams of a value and its unit. Raises InvalidCell."""
    value, unit = values.pop("weight_value", None), values.pop("weight_unit", None)
    if value is None:
        return
    fields = {"value": "weight_value", "unit": "weight_unit"}
    weight: Weight = _made(Weight, {"value": value, "unit": unit}, "weight", fields)
    grams = values.setdefault("weight_grams", weight.grams)
    if grams != weight.grams:
        message = f"'weight' is {weight.grams} g and 'weight grams' says {grams}: change both, or leave one empty."
        raise InvalidCell("contradictory_weight", message, field="weight_value")
    values["weight"] = weight


def measure(values: dict[str, Any]) -> None:
    """Make dimensions of the sizes that a row gives. Raises InvalidCell."""
    sides: dict[str, Decimal] = {name: values.pop(name) for name in SIDES if name in values}
    unit = values.pop("dimension_unit", None)
    if sides:
        fields = {**{side: side for side in sides}, "unit": "dimension_unit"}
        values["dimensions"] = _made(Dimensions, {**sides, "unit": unit}, "dimensions", fields)


def _limit(values: dict[str, Any]) -> None:
    limits = {name: values.pop(f"order_{name}") for name in _LIMITS if f"order_{name}" in values}
    if limits:
        _made(OrderLimits, limits, "order_limits", {name: f"order_{name}" for name in reversed(limits)})
        values["order_limits"] = OrderLimitsRecord(**limits)


def _made(shape: Any, values: Mapping[str, Any], what: str, fields: Mapping[str, str]) -> Any:
    """Raises InvalidCell with what the shape says; of its `fields` the first is at fault where it names none."""
    first = next(iter(fields.values()))
    said = {"weight": "a weight", "dimensions": "dimensions", "order_limits": "order limits"}[what]
    if values.get("unit", "") is None:
        raise InvalidCell("missing_unit", f"The row gives {said} without a unit.", field=first)
    try:
        return shape(**values)
    except ValidationError as error:
        place, reason = first_sentence(error, shape)
        within = f"{place[0]}: " if place else ""
        message = f"The row's {said.removeprefix('a ')}: {within}{reason}."
        raise InvalidCell(
            f"invalid_{what}", message, field=fields.get(str(place[0]), first) if place else first
        ) from None


def _check_barcodes(values: dict[str, Any]) -> None:
    seen = {_number(values["barcode"])} if "barcode" in values else set()
    for barcode in values.get("barcodes", ()):
        if _number(barcode) in seen:
            message = f"'barcodes' has {barcode!r}, which the row says already."
            raise InvalidCell("duplicate_barcode", message, value=barcode, field="barcodes")
        seen.add(_number(barcode))


def _number(barcode: str) -> str:
    """Leading zeros make no other number (GS1 General Specifications §3.3)."""
    return barcode.zfill(14)


def finish_product(values: dict[str, Any]) -> None:
    """Media, and everything that is said in a language; pictures are made already."""
    values["media"] = tuple(_media(values))
    languages = _by_language(values)
    values["alts"] = tuple({alt[:2]: alt for alt in _alts(values, languages)}.values())
    values["texts"] = _texts(languages)


def finish_texts(values: dict[str, Any]) -> None:
    """What is said in a language, and nothing else."""
    if languages := _by_language(values):
        values["texts"] = _texts(languages)


def _by_language(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The fields whose names say a language, by that; they are taken out of `values`."""
    languages: dict[str, dict[str, Any]] = {}
    for name in [name for name in values if name.endswith("]")]:
        field, _, locale = name.removesuffix("]").partition("[")
        languages.setdefault(locale, {})[field] = values.pop(name)
    return languages


def _texts(languages: Mapping[str, dict[str, Any]]) -> tuple[TextRecord, ...]:
    return tuple(TextRecord(locale, **said) for locale, said in sorted(languages.items()) if said)


def _media(values: dict[str, Any]) -> Iterator[MediumRecord]:
    further = [values.pop(f"media_{name}", ()) for name in ("positions", "texts", "previews")]
    for medium, position, alt, preview in zip_longest(values.pop("media", ()), *further):
        if medium is not None:
            kind, url = medium
            yield MediumRecord(kind, url, None if position is None else position - 1, alt or None, preview or None)


def _alts(values: Mapping[str, Any], languages: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for locale, said in languages.items():
        for what, field in (("images", "image_texts"), ("media", "media_texts")):
            for shown, words in zip(values[what], said.pop(field, ()), strict=False):
                if words:
                    yield shown.url, locale, words
