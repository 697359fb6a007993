"""Where the fields of a profile stand in one file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.impex import sales
from shared.impex.profiles.base import ATTRIBUTE, OPTIONS, Convert, ProductProfile

Plan = tuple[tuple[str, int, Convert], ...]

_FIELD_OF_RECORD = {
    **dict.fromkeys(("category", "google_category", "collection"), "categories"),
    **dict.fromkeys(("image_src", "image_position", "image_alt", "image_texts"), "images"),
    **dict.fromkeys((f"option_{n}_name" for n in range(1, OPTIONS + 1)), "option_names"),
    **dict.fromkeys((f"option_{n}_value" for n in range(1, OPTIONS + 1)), "option_values"),
    **dict.fromkeys(("published", "is_visible"), "status"),
    **dict.fromkeys(("media_texts", "media_previews", "media_positions"), "media"),
    "variant_attributes": "attributes of variants",
    **dict.fromkeys(("weight_value", "weight_unit", "weight_shown_in"), "weight"),
    **dict.fromkeys(sales.FIELDS, "sale"),
    **dict.fromkeys(("length", "width", "height", "dimension_unit"), "dimensions"),
    **dict.fromkeys(("order_minimum", "order_maximum", "order_step"), "order_limits"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file by what they are read for, each with how its cells are read.

    Absent single columns point at an empty field that the reader puts after the last one of every row.
    """

    header: Sequence[str]
    columns: Mapping[str, int]
    fields: frozenset[str]
    unknown: tuple[int, ...]
    handle: int
    title: int
    has_titles: bool
    sku: int
    has_skus: bool
    product: Plan
    variant: Plan
    image: Plan
    option_names: tuple[int, int, int]
    option_values: tuple[int, int, int]
    variant_marks: tuple[int, ...]

    @classmethod
    def of(cls, header: Sequence[str], profile: ProductProfile, currency: str) -> "Layout":
        """Raises UnknownHeaders, MissingHeaders, DuplicateHeaders."""
        columns = profile.columns(header)
        index, absent = columns.index, len(header)
        attributes = dict.fromkeys((name for name in index if name.startswith(ATTRIBUTE)), _attribute)
        return cls(
            header=header,
            columns=index,
            fields=columns.fields(),
            unknown=columns.unknown,
            handle=index.get("handle", absent),
            title=index.get("title", absent),
            has_titles="title" in index,
            sku=index.get("sku", absent),
            has_skus="sku" in index,
            product=_plan(
                index, {**attributes, **profile.product_converters(currency), **profile.further_converters(index)}
            ),
            variant=_plan(index, profile.variant_converters(currency)),
            image=_plan(index, profile.image_converters()),
            option_names=_options(index, "name", absent),
            option_values=_options(index, "value", absent),
            variant_marks=tuple(index[name] for name in profile.variant_marks if name in index),
        )

    def heading(self, field: str) -> str | None:
        """The file's own heading of a field; None where it has none."""
        return self.header[self.columns[field]] if field in self.columns else None

    def attribute_heading(self, code: str) -> str | None:
        """That of an attribute: its own, or that of all of them."""
        fields = (f"{ATTRIBUTE}{code}", "attributes", "pairs", "variant_attributes")
        return next(filter(None, map(self.heading, fields)), None)

    def fields_of_records(self) -> frozenset[str]:
        """The fields of ProductRecord and VariantRecord that this file has a column for."""
        return frozenset(
            "attributes" if name.startswith(ATTRIBUTE) else _FIELD_OF_RECORD.get(name, name)
            for name in self.fields
            if not is_localized(name)
        )

    def languages(self) -> dict[str, list[str]]:
        """By language, the fields that this file has a column for in it."""
        found: dict[str, list[str]] = {}
        for name in filter(is_localized, sorted(self.fields)):
            field, _, locale = name.removesuffix("]").partition("[")
            found.setdefault(locale, []).append(field)
        return found


def is_localized(name: str) -> bool:
    """Whether a field's name says its language: `title[de]`."""
    return name.endswith("]") and not name.startswith(ATTRIBUTE)


def _plan(index: Mapping[str, int], converters: Mapping[str, Convert]) -> Plan:
    return tuple((name, index[name], convert) for name, convert in converters.items() if name in index)


def _options(index: Mapping[str, int], part: str, absent: int) -> tuple[int, int, int]:
    first, second, third = (index.get(f"option_{n}_{part}", absent) for n in range(1, OPTIONS + 1))
    return first, second, third


def _attribute(cell: str) -> str | None:
    return cell.strip() or None
