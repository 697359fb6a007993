"""Fields that only files in full have: what they are staged as, and what they make of what is stored.

In the order in which rows are staged (use_cases/resolution.py). `s` is the staged row, `t` the stored one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Further:
    """A column, by its type in the staged table; what it is in a new row; what a row says of it; what empties it."""

    type: str
    made: str
    said: str
    emptied: str


def _plain(name: str, sql_type: str, nothing: str = "NULL") -> Further:
    made = name if nothing == "NULL" else f"coalesce({name}, {nothing})"
    return Further(sql_type, made, f"coalesce(s.{name}, t.{name})", f"coalesce(s.{name}, {nothing})")


def _together(name: str, sql_type: str, names: Sequence[str]) -> Further:
    """Where a row says one of these, all of them are as it says."""
    staged = ", ".join(f"s.{each}" for each in names)
    said = f"CASE WHEN num_nonnulls({staged}) > 0 THEN s.{name} ELSE t.{name} END"
    return Further(sql_type, name, said, f"s.{name}")


def _weight(name: str, sql_type: str) -> Further:
    """A row that says other grams takes the merchant's own unit away."""
    kept = f"CASE WHEN s.weight_grams IS NULL OR s.weight_grams = t.weight_grams THEN t.{name} END"
    return Further(sql_type, name, f"coalesce(s.{name}, {kept})", f"s.{name}")


# What media show in other languages: by address, what is said now over what was.
_ALTS = (
    "t.alts || coalesce((SELECT jsonb_object_agg(e.key, coalesce(t.alts -> e.key, '{}') || e.value)"
    " FROM jsonb_each(s.alts) e), '{}')"
)
_SIZES = ("length_value", "width_value", "height_value", "length_mm", "width_mm", "height_mm", "dimension_unit")
_LIMITS = ("order_minimum", "order_maximum", "order_step")

OF_PRODUCTS: Mapping[str, Further] = {
    "content_html": _plain("content_html", "text"),
    "featured": _plain("featured", "boolean", "false"),
    "media": _plain("media", "jsonb", "'[]'"),
    "alts": Further("jsonb", "alts", _ALTS, "s.alts"),
}
OF_VARIANTS: Mapping[str, Further] = {
    "barcodes": _plain("barcodes", "text[]", "'{}'"),
    "attributes": Further("jsonb", "attributes", "t.attributes || s.attributes", "s.attributes"),
    "price_on_request": _plain("price_on_request", "boolean", "false"),
    **{
        name: _together(name, {"value": "numeric", "mm": "integer", "unit": "text"}[name.rpartition("_")[2]], _SIZES)
        for name in _SIZES
    },
    **{name: _together(name, "integer", _LIMITS) for name in _LIMITS},
}
# Staged of every file.
OF_WEIGHTS: Mapping[str, Further] = {
    "weight_value": _weight("weight_value", "numeric"),
    "weight_unit": _weight("weight_unit", "text"),
}
STAGED = {"products": OF_PRODUCTS, "variants": OF_VARIANTS}
TABLES = ";".join(
    f"ALTER TABLE staged_{name} " + ", ".join(f"ADD COLUMN {column} {field.type}" for column, field in fields.items())
    for name, fields in STAGED.items()
)
# By the fields of records that a file may have columns for, what of a product or variant these are.
_COLUMNS_OF_PRODUCT = {"content_html": ("content_html",), "featured": ("featured",), "media": ("media",)}
_COLUMNS_OF_VARIANT = {
    "barcodes": ("barcodes",),
    "attributes of variants": ("attributes",),
    "price_on_request": ("price_on_request",),
    "dimensions": _SIZES,
    "order_limits": _LIMITS,
}


def are_in(fields: Collection[str], languages: Mapping[str, Collection[str]]) -> bool:
    """Whether a file has columns for any of these."""
    named = {*_COLUMNS_OF_PRODUCT, *_COLUMNS_OF_VARIANT}
    return not named.isdisjoint(fields) or any(
        not _OF_MEDIA.isdisjoint(in_language) for in_language in languages.values()
    )


_OF_MEDIA = frozenset(("image_texts", "media_texts"))


def emptied_of_products(fields: Collection[str], languages: Mapping[str, Collection[str]]) -> dict[str, str]:
    """What a replace makes of the columns that a file has fields for; `languages` are fields by language."""
    said = _emptied(_COLUMNS_OF_PRODUCT, OF_PRODUCTS, fields)
    locales = {
        column: sorted(locale for locale, named in languages.items() if field in named)
        for column, field in (("images", "image_texts"), ("media", "media_texts"))
    }
    if any(locales.values()):
        emptied = " ".join(
            f"WHEN t.{column} @? format('$[*] ? (@.url == %s)', to_json(k.key))::jsonpath THEN {_array(found)}"
            for column, found in locales.items()
        )
        said["alts"] = _ALTS_EMPTIED.format(emptied=emptied)
    return said


# Languages are tags of letters, digits and hyphens (shared/locales.py).
def _array(locales: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(repr, locales))}]::text[]"


_ALTS_EMPTIED = (
    "(SELECT coalesce(jsonb_object_agg(e.key, e.words), '{{}}') FROM (SELECT k.key, (coalesce(t.alts -> k.key, '{{}}')"
    " - CASE {emptied} ELSE ARRAY[]::text[] END) || coalesce(s.alts -> k.key, '{{}}') AS words"
    " FROM jsonb_object_keys(t.alts || s.alts) AS k (key)) e WHERE e.words <> '{{}}')"
)


def emptied_of_variants(fields: Collection[str]) -> dict[str, str]:
    """What a replace makes of the columns that a file has fields for."""
    columns = {**_COLUMNS_OF_VARIANT, "weight": tuple(OF_WEIGHTS)}
    return _emptied(columns, {**OF_VARIANTS, **OF_WEIGHTS}, fields)


def _emptied(
    columns: Mapping[str, Sequence[str]], further: Mapping[str, Further], fields: Collection[str]
) -> dict[str, str]:
    return {name: further[name].emptied for field in columns if field in fields for name in columns[field]}
