"""Attributes: what products may say under a code, and values that are checked against it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.catalog.errors import AttributeChangedSince, AttributeCodeTaken, AttributeValuesRefused, ValuesDoNotFit
from services.catalog.models.attributes import Definition, UnfitValue
from services.catalog.repository import attributes, catalog
from services.catalog.repository.attributes import HeldValue
from shared.contracts.catalog.attributes import Attribute, AttributeChange, AttributeDraft
from shared.contracts.catalog.shapes import AttributeValue
from shared.identifiers import new_id
from shared.impex.rows import Pairs, ProductRecord, RowError, VariantRecord, shortened
from shared.unit_of_work import UnitOfWork

# The column of an attribute by its code, in the file that is read.
Heading = Callable[[str], str | None]
# How many values that do not fit a refusal names.
_NAMED = 20


async def define(uow: UnitOfWork, draft: AttributeDraft) -> Attribute:
    """Raises AttributeCodeTaken, InvalidAttribute, ValuesDoNotFit."""
    await catalog.lock(uow)
    if await attributes.definitions_of(uow, [draft.code]):
        raise AttributeCodeTaken(f"There is an attribute with the code '{draft.code}' already.")
    wanted = _definition(draft.code, dict(draft))
    wanted.check()
    await _fit_what_is_held(uow, wanted)
    attribute_id = new_id()
    await attributes.write(uow, attribute_id, wanted)
    await _tell_holders(uow, wanted.code, values_differ=wanted.type != "text")
    defined = await attributes.get(uow, attribute_id)
    uow.audit("attribute.define", "attribute", attribute_id, after=_words(defined))
    return defined


async def change(uow: UnitOfWork, attribute_id: UUID, wanted: AttributeChange, version: int | None) -> Attribute:
    """Raises AttributeNotFound, AttributeChangedSince, InvalidAttribute, ValuesDoNotFit."""
    await catalog.lock(uow)
    before = await _to_change(uow, attribute_id, version)
    differing = {name: value for name, value in wanted.given().items() if value != getattr(before, name)}
    if not differing:
        return before
    after = _definition(before.code, dict(before) | differing)
    after.check()
    rewritten = await _fit_what_is_held(uow, after) if differing.keys() & {"type", "choices"} else set()
    await attributes.write(uow, attribute_id, after)
    await _tell_holders(uow, before.code, values_differ="type" in differing, rewritten=rewritten)
    changed = await attributes.get(uow, attribute_id)
    old, new = _words(before), _words(changed)
    uow.audit(
        "attribute.change",
        "attribute",
        attribute_id,
        before={name: old[name] for name in differing},
        after={name: new[name] for name in differing},
    )
    return changed


async def remove(uow: UnitOfWork, attribute_id: UUID, version: int | None) -> None:
    """Raises AttributeNotFound, AttributeChangedSince."""
    await catalog.lock(uow)
    before = await _to_change(uow, attribute_id, version)
    await attributes.remove(uow, attribute_id)
    await _tell_holders(uow, before.code, values_differ=before.type != "text")
    uow.audit("attribute.remove", "attribute", attribute_id, before=_words(before))


async def _to_change(uow: UnitOfWork, attribute_id: UUID, version: int | None) -> Attribute:
    before = await attributes.get(uow, attribute_id, to_change=True)
    if version is not None and version != before.version:
        raise AttributeChangedSince(f"The attribute has version {before.version} now, not {version}: read it again.")
    return before


def _definition(code: str, fields: Mapping[str, Any]) -> Definition:
    names = ("label", "labels", "type", "unit", "is_facet")
    return Definition(code=code, **{name: fields[name] for name in names}, choices=tuple(fields["choices"]))


def _words(attribute: Attribute) -> dict[str, Any]:
    return attribute.model_dump(mode="json", exclude={"id", "version", "created_at", "updated_at"})


async def _fit_what_is_held(uow: UnitOfWork, wanted: Definition) -> set[str]:
    """Bring the values that products have into the form of their type. Raises ValuesDoNotFit, naming some.

    Returns the texts that are stored in place of others.
    """
    unfit: list[tuple[HeldValue, UnfitValue]] = []
    rewritten: dict[str, str] = {}
    async for held in attributes.held_values(uow, wanted.code):
        try:
            text = wanted.fitted(held.text)
        except UnfitValue as fault:
            unfit.append((held, fault))
            if len(unfit) == _NAMED:
                break
        else:
            if text != held.text:
                rewritten[held.text] = text
    if unfit:
        raise ValuesDoNotFit(
            f"Products have values under '{wanted.code}' that would not fit: {unfit[0][1].message}",
            [
                {"value": held.text[:200], "count": held.count, "example": held.example}
                | {"code": fault.code, "message": fault.message}
                for held, fault in unfit
            ],
        )
    if rewritten:
        await attributes.rewrite_values(uow, wanted.code, rewritten)
    return set(rewritten.values())


async def _tell_holders(uow: UnitOfWork, code: str, *, values_differ: bool, rewritten: Collection[str] = ()) -> None:
    """What products say under a code is shown otherwise now.

    With `values_differ` they have changed themselves; otherwise those alone that hold a text that was `rewritten`.
    """
    if values_differ:
        await attributes.count_change_of_holders(uow, code)
    elif rewritten:
        await attributes.count_change_of_holders(uow, code, rewritten)
    await attributes.announce_holders(uow, code)


async def fitted(uow: UnitOfWork, given: Mapping[str, Mapping[str, AttributeValue]]) -> dict[str, dict[str, str]]:
    """Values as they are stored, by where they were given (a JSON pointer). Raises AttributeValuesRefused, naming each.

    A value without a definition is a text, and nothing else.
    """
    definitions = await attributes.definitions_of(uow, {code for values in given.values() for code in values})
    refused: list[dict[str, Any]] = []
    stored: dict[str, dict[str, str]] = {}
    for pointer, values in given.items():
        stored[pointer] = {}
        for code, value in values.items():
            try:
                stored[pointer][code] = _fitted(definitions.get(code), value)
            except UnfitValue as fault:
                place = f"{pointer}/attributes/{code.replace('~', '~0').replace('/', '~1')}"
                refused.append({"pointer": place, "code": fault.code, "message": fault.message})
    if refused:
        raise AttributeValuesRefused(f"{refused[0]['pointer']}: {refused[0]['message']}", refused[:100])
    return stored


def _fitted(definition: Definition | None, value: AttributeValue) -> str:
    if definition is not None:
        return definition.fitted(value)
    if not isinstance(value, str):
        raise UnfitValue("attribute_not_defined", "Without a definition an attribute's value is a text.")
    return value


async def fit_records(
    uow: UnitOfWork, records: Sequence[ProductRecord], heading: Heading
) -> tuple[list[ProductRecord], list[RowError]]:
    """Products of a file with values in the form of their types; and what is wrong with those that are refused.

    Values without a definition stay as they are; where no product has any, nothing is asked. A variant with a value
    that does not fit is refused alone, unless it is the only one.
    """
    definitions = await attributes.definitions_of(uow, {code for record in records for code in _codes(record)})
    if not definitions:
        return list(records), []
    kept: list[ProductRecord] = []
    errors: list[RowError] = []
    for record in records:
        try:
            pairs = _fitted_pairs(record.attributes, definitions)
            _check_translated(record, definitions)
        except UnfitValue as fault:
            errors += [_unfit(row, heading, fault) for row in record.rows]
            continue
        variants = _fit_variants(record, definitions, heading, errors)
        if variants or not record.variants:
            kept.append(msgspec.structs.replace(record, attributes=pairs, variants=variants))
    return kept, errors


def _codes(record: ProductRecord) -> Iterator[str]:
    for pairs in (record.attributes, *(text.attributes for text in record.texts)):
        yield from (code for code, _ in pairs)
    for variant in record.variants:
        yield from (code for code, _ in variant.attributes)


def _fitted_pairs(pairs: Pairs, definitions: Mapping[str, Definition]) -> Pairs:
    """Raises UnfitValue."""
    return tuple((code, definitions[code].fitted(text) if code in definitions else text) for code, text in pairs)


def _check_translated(record: ProductRecord, definitions: Mapping[str, Definition]) -> None:
    """Only texts are translated; a choice has its labels. Raises UnfitValue."""
    for code, text in (pair for said in record.texts for pair in said.attributes):
        if code in definitions and definitions[code].type != "text":
            message = f"'{code}' is of type {definitions[code].type}; only texts are translated."
            raise UnfitValue("not_translated", message, text, attribute=code)


def _fit_variants(
    record: ProductRecord, definitions: Mapping[str, Definition], heading: Heading, errors: list[RowError]
) -> tuple[VariantRecord, ...]:
    kept = []
    for variant in record.variants:
        if not variant.attributes:
            kept.append(variant)
            continue
        try:
            pairs = _fitted_pairs(variant.attributes, definitions)
        except UnfitValue as fault:
            errors.append(_unfit(variant.row, heading, fault))
        else:
            kept.append(msgspec.structs.replace(variant, attributes=pairs))
    return tuple(kept)


def _unfit(row: int, heading: Heading, fault: UnfitValue) -> RowError:
    return RowError(row, heading(fault.attribute), shortened(fault.value), fault.code, fault.message)


async def check_texts(uow: UnitOfWork, texts: Mapping[str, str]) -> None:
    """Only texts are translated; a choice has its labels. Raises AttributeValuesRefused."""
    definitions = await attributes.definitions_of(uow, texts)
    refused = [
        {
            "pointer": f"/attributes/{code}",
            "code": "not_translated",
            "message": f"'{code}' is of type {definition.type}; only texts are translated.",
        }
        for code, definition in definitions.items()
        if definition.type != "text"
    ]
    if refused:
        raise AttributeValuesRefused(refused[0]["message"], refused)
