"""Queries of orders' records whose buyer is to be forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from shared.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A record as it is to be: JSON texts, and the digest of `remote`."""

    id: UUID
    remote: str
    digest: bytes
    acknowledged: str | None


async def lock_records(uow: UnitOfWork, order_ids: Sequence[UUID]) -> list[asyncpg.Record]:
    """The records that these orders came from."""
    return await uow.fetch(
        "SELECT id, connection_id, external_id, remote, acknowledged FROM listings WHERE order_id = ANY($1)"
        " AND entity = 'order' ORDER BY id FOR NO KEY UPDATE",
        list(order_ids),
    )


async def replace(uow: UnitOfWork, forgotten: Sequence[Forgotten]) -> None:
    """Keep these instead. What was looked at before stays looked at, what waits goes on waiting."""
    await uow.execute(
        "UPDATE listings l SET remote = f.remote::jsonb, digest = f.digest, acknowledged = f.acknowledged::jsonb,"
        " analysed = CASE WHEN l.analysed = l.digest THEN f.digest ELSE l.analysed END,"
        " erased_at = coalesce(l.erased_at, now()), updated_at = now(), version = l.version + 1"
        " FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::text[]) AS f (id, remote, digest, acknowledged)"
        " WHERE l.id = f.id",
        [each.id for each in forgotten],
        [each.remote for each in forgotten],
        [each.digest for each in forgotten],
        [each.acknowledged for each in forgotten],
    )


async def forget_told(uow: UnitOfWork, orders: Sequence[tuple[UUID, UUID, str]]) -> None:
    """What platforms said of these orders (record, connection, id there), in issues and in webhooks, is dropped.

    A webhook may name an order by the last part of its id alone. It has woken its feed; its bytes are good for no more.
    """
    await uow.execute(
        "UPDATE issues SET remote_message = NULL WHERE listing_id = ANY($1) AND remote_message IS NOT NULL",
        [listing_id for listing_id, _, _ in orders],
    )
    await uow.execute(
        "UPDATE webhooks w SET body = '' FROM unnest($1::uuid[], $2::text[]) AS o (connection_id, external_id)"
        " WHERE w.connection_id = o.connection_id AND position(convert_to(o.external_id, 'UTF8') IN w.body) > 0",
        [connection_id for _, connection_id, _ in orders],
        [external_id.rpartition("/")[2] or external_id for _, _, external_id in orders],
    )


async def list_erased(uow: UnitOfWork, connection_id: UUID, external_ids: Sequence[str]) -> set[str]:
    """Of which of these orders the buyer was forgotten. They are held: nobody is forgotten before they are kept."""
    rows = await uow.fetch(
        "SELECT external_id, erased_at FROM listings WHERE connection_id = $1 AND entity = 'order'"
        " AND external_id = ANY($2) ORDER BY id FOR NO KEY UPDATE",
        connection_id,
        list(external_ids),
    )
    return {row["external_id"] for row in rows if row["erased_at"] is not None}
