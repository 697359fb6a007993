"""Texts of products in other languages, written in sets."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from shared.unit_of_work import UnitOfWork

_TEXTS = ("title", "description_html", "content_html", "seo_title", "seo_description")
_WORDS = ("option_names", "option_values")
_FIELDS = (*_TEXTS, *_WORDS, "attributes")


async def write(
    uow: UnitOfWork, rows: Sequence[Mapping[str, Any]], languages: Mapping[str, Collection[str]], *, empties: bool
) -> set[UUID]:
    """Store what rows of `product_texts` say; returns the products whose texts differ.

    What a row does not say stays as it is, or with `empties` is emptied where the file has a column for it:
    `languages` are its fields by language.
    """
    if not rows:
        return set()
    given = orjson.dumps(rows).decode()
    updated = await uow.fetch(_update(languages if empties else {}), given)
    inserted = await uow.fetch(_INSERT, given, uow.organization_id)
    return {row["product_id"] for row in (*updated, *inserted)}


async def own_texts(uow: UnitOfWork, slugs: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Title and description of products, by slug, as they say them in no language."""
    rows = await uow.fetch(
        "SELECT p.slug, p.title, p.description_html FROM unnest($1::text[]) AS asked (slug)"
        " CROSS JOIN LATERAL (SELECT * FROM products p WHERE p.slug = asked.slug OFFSET 0) p",
        slugs,
    )
    return {row["slug"]: (row["title"], row["description_html"]) for row in rows}


_GIVEN = "jsonb_populate_recordset(NULL::product_texts, $1::jsonb)"
_INSERT = f"""
INSERT INTO product_texts (organization_id, product_id, locale, {", ".join(_FIELDS)})
SELECT $2, r.product_id, r.locale, {", ".join(f"r.{name}" for name in _TEXTS)},
    coalesce(r.option_names, '{{}}'), coalesce(r.option_values, '{{}}'), coalesce(r.attributes, '{{}}')
FROM {_GIVEN} r WHERE num_nonnulls({", ".join(f"r.{name}" for name in _FIELDS)}) > 0
ON CONFLICT DO NOTHING RETURNING product_id
"""  # noqa: S608


def _update(languages: Mapping[str, Collection[str]]) -> str:
    said = {
        **{name: f"coalesce(r.{name}, t.{name})" for name in (*_TEXTS, *_WORDS)},
        "attributes": "t.attributes || coalesce(r.attributes, '{}')",
    }
    for name in said:
        emptied = sorted(locale for locale, fields in languages.items() if name in fields)
        if emptied:
            nothing = "NULL" if name in _TEXTS else "'{}'"
            locales = ", ".join(map(repr, emptied))
            said[name] = f"CASE WHEN r.locale IN ({locales}) THEN coalesce(r.{name}, {nothing}) ELSE {said[name]} END"
    assignments = ", ".join(f"{name} = {value}" for name, value in said.items())
    stored = ", ".join(f"t.{name}" for name in said)
    return (
        f"UPDATE product_texts t SET {assignments} FROM {_GIVEN} r"  # noqa: S608
        " WHERE t.product_id = r.product_id AND t.locale = r.locale"
        f" AND ({stored}) IS DISTINCT FROM ({', '.join(said.values())}) RETURNING t.product_id"
    )
