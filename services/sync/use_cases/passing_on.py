"""What came here by one connection goes on to another only where that is configured (SYN-6).

A value is another connection's when its rule for the field takes it over here, and the value here is what that platform
has and was not written there by us. A product, or a variant, is another connection's when it was made here of its
record. Whoever changes the value here makes it ours again: it is another value then than the platform has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.sync.models import is_empty, rule_name, rule_of
from services.sync.repository import changes, origins
from shared.contracts.catalog.offers import ProductPart
from shared.contracts.sync.shapes import ConnectionSettings, FieldPolicy, PassedOn
from shared.impex.cells import spellings
from shared.unit_of_work import UnitOfWork

_TAKEN: frozenset[FieldPolicy] = frozenset(("remote", "both", "create_only", "review"))
_NOT_THERE: Any = object()
# A product, or with a SKU one of its variants.
_Key = tuple[UUID, str | None]


@dataclass(frozen=True)
class _Other:
    """Another connection, and what of its it lets the receiver have."""

    settings: ConnectionSettings
    passed: Sequence[PassedOn]

    @property
    def passes_products(self) -> bool:
        return any(each.products for each in self.passed)

    def passes(self, entity: str, field: str) -> bool:
        name = rule_name(entity, field)
        return any(each.fields is None or name in each.fields for each in self.passed)


@dataclass(frozen=True)
class _Claim:
    """What another connection has of a record of ours; `arriving` is about to be taken from there."""

    other: _Other
    acknowledged: Mapping[str, Any]
    sent: Mapping[str, Any]
    arriving: Mapping[str, Any]
    is_source: bool

    def has(self, entity: str, field: str, value: Any) -> bool:
        """Whether a value is this connection's."""
        if rule_of(self.other.settings, entity, field).policy not in _TAKEN:
            return False
        if _is_same(field, self.arriving.get(field, _NOT_THERE), value):
            return True
        known, written = (said.get(field, _NOT_THERE) for said in (self.acknowledged, self.sent))
        return _is_same(field, known, value) and not _is_same(field, written, value)


@dataclass(frozen=True)
class Origins:
    """Whose values, products and variants are, as far as they may not go on to one connection."""

    claims: Mapping[_Key, Sequence[_Claim]]
    # SKUs that are about to be taken from a connection that does not pass its products on.
    arriving: frozenset[str]

    def keeps_value(self, entity: str, product_id: UUID, sku: str | None, field: str, value: Any) -> bool:
        """Whether a value came by others of which none passes it on."""
        key = (product_id, sku if entity == "variant" else None)
        found = [claim for claim in self.claims.get(key, ()) if claim.has(entity, field, value)]
        return bool(found) and not any(claim.other.passes(entity, field) for claim in found)

    def keeps_product(self, part: ProductPart) -> bool:
        """Whether a product came by others of which none passes it on, or may be about to."""
        return self._keeps((part.id, None)) or any(variant.sku in self.arriving for variant in part.variants)

    def keeps_variant(self, product_id: UUID, sku: str) -> bool:
        """As `keeps_product`, of a variant."""
        return sku in self.arriving or self._keeps((product_id, sku))

    def _keeps(self, key: _Key) -> bool:
        found = [claim for claim in self.claims.get(key, ()) if claim.is_source]
        return bool(found) and not any(claim.other.passes_products for claim in found)


async def load(
    uow: UnitOfWork, receiver: asyncpg.Record, product_ids: Sequence[UUID], skus: Sequence[str] = ()
) -> Origins:
    """What of these products, and of what has these SKUs, other connections have. Without others, one question."""
    rows = await origins.list_others(uow, receiver["id"])
    if not rows:
        return Origins({}, frozenset())
    others = {row["id"]: _other(row, receiver) for row in rows}
    records = await origins.list_records(uow, list(others), product_ids)
    incoming: dict[UUID, dict[str, Any]] = {}
    for change in await changes.list_open(uow, [row["id"] for row in records], "in"):
        if change["state"] == "queued":
            incoming.setdefault(change["listing_id"], {})[change["field"]] = orjson.loads(change["after"])
    claims: dict[_Key, list[_Claim]] = {}
    for row in records:
        key = (row["product_id"], row["sku"] if row["entity"] == "variant" else None)
        known = orjson.loads(row["acknowledged"] or "{}")
        claim = _Claim(
            others[row["connection_id"]],
            known,
            orjson.loads(row["sent"]),
            incoming.get(row["id"], {}),
            row["is_source"],
        )
        claims.setdefault(key, []).append(claim)
    keeping = [connection_id for connection_id, other in others.items() if not other.passes_products]
    arriving = await origins.list_arriving(uow, keeping, skus) if skus and keeping else []
    return Origins(claims, frozenset(row["sku"] for row in arriving))


def _other(row: asyncpg.Record, receiver: asyncpg.Record) -> _Other:
    settings = ConnectionSettings.model_validate_json(row["settings"])
    passed = [
        each for each in settings.passes_on if receiver["id"] == each.connection_id or receiver["shop"] == each.shop
    ]
    return _Other(settings, passed)


def _is_same(field: str, theirs: Any, ours: Any) -> bool:
    if theirs is _NOT_THERE:
        return False
    if is_empty(theirs) and is_empty(ours):
        return True
    if field == "images":
        return [image["url"] for image in theirs or ()] == [image["url"] for image in ours or ()]
    if field == "barcode" and isinstance(theirs, str) and isinstance(ours, str):
        return theirs in spellings(ours)
    return bool(theirs == ours)
