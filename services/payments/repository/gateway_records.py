"""Queries for gateways, their secrets, credentials and certificates."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlmodel import col, select

from services.payments.errors import PaymentGatewayNotFound
from services.payments.models import Gateway, GatewaySecret
from services.payments.repository import common
from shared.unit_of_work import UnitOfWork


async def get_gateway(uow: UnitOfWork, gateway_id: UUID, *, for_update: bool = False) -> Gateway:
    """Raises PaymentGatewayNotFound, also for a shop outside the caller's limit."""
    question = select(Gateway).where(Gateway.id == gateway_id, common.is_seen(uow, Gateway.shop_id))
    gateway = await common.find_one(uow, common.locking(question) if for_update else question)
    if gateway is None:
        raise PaymentGatewayNotFound("There is no such payment gateway.")
    return gateway


async def get_gateways(uow: UnitOfWork, gateway_ids: Iterable[UUID]) -> dict[UUID, Gateway]:
    """Gateways of callbacks, by their ids."""
    rows = await uow.fetch("SELECT * FROM gateways WHERE id = ANY($1)", list(set(gateway_ids)))
    return {row["id"]: _gateway(row) for row in rows}


def _gateway(row: Any) -> Gateway:
    documents = {name: orjson.loads(row[name]) for name in ("settings", "allowed_networks")}
    return Gateway.of({**row, **documents})


async def list_gateways(uow: UnitOfWork, shop_id: UUID | None, before: UUID | None, most: int) -> Sequence[Gateway]:
    question = select(Gateway).where(common.is_seen(uow, Gateway.shop_id))
    if shop_id is not None:
        question = question.where(Gateway.shop_id == shop_id)
    if before is not None:
        question = question.where(Gateway.id < before)
    return await common.find_all(uow, question.order_by(col(Gateway.id).desc()).limit(most))


async def list_gateways_of_shop(uow: UnitOfWork, shop_id: UUID) -> Sequence[Gateway]:
    return await common.find_all(uow, common.locking(select(Gateway).where(Gateway.shop_id == shop_id)))


async def list_secrets(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> Sequence[GatewaySecret]:
    """All secrets of these gateways, retired ones too, oldest first."""
    question = select(GatewaySecret).where(col(GatewaySecret.gateway_id).in_(gateway_ids))
    return await common.find_all(uow, question.order_by(col(GatewaySecret.id)))


async def write_credentials(uow: UnitOfWork, gateway_id: UUID, sealed: str, at: datetime) -> None:
    await uow.execute(
        "INSERT INTO gateway_credentials VALUES ($1, $2, $3, $4) ON CONFLICT (organization_id, gateway_id)"
        " DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at",
        uow.organization_id,
        gateway_id,
        sealed,
        at,
    )


async def find_credentials(uow: UnitOfWork, gateway_id: UUID) -> str | None:
    found: str | None = await uow.fetchval("SELECT sealed FROM gateway_credentials WHERE gateway_id = $1", gateway_id)
    return found


async def list_gateways_with_credentials(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> set[UUID]:
    rows = await uow.fetch("SELECT gateway_id FROM gateway_credentials WHERE gateway_id = ANY($1)", gateway_ids)
    return {row["gateway_id"] for row in rows}


async def list_certificates(uow: UnitOfWork) -> dict[str, str]:
    """The certificates that have been fetched, as PEM by their addresses."""
    return {row["url"]: row["pem"] for row in await uow.fetch("SELECT url, pem FROM certificates")}


async def keep_certificates(uow: UnitOfWork, pems: Mapping[str, str], at: datetime) -> None:
    await uow.execute(
        "INSERT INTO certificates SELECT $1, url, pem, $4 FROM unnest($2::text[], $3::text[]) AS c (url, pem)"
        " ON CONFLICT (organization_id, url) DO UPDATE SET pem = excluded.pem, fetched_at = excluded.fetched_at",
        uow.organization_id,
        list(pems),
        list(pems.values()),
        at,
    )


async def count_uncollected(uow: UnitOfWork, gateway_ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await uow.fetch(
        "SELECT gateway_id, sum(callbacks)::int AS callbacks FROM callback_overflows WHERE gateway_id = ANY($1)"
        " GROUP BY 1",
        list(gateway_ids),
    )
    return {row["gateway_id"]: row["callbacks"] for row in rows}
