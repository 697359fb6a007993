"""Queries about organizations, shops and credentials. Every one sees the unit of work's tenant alone."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlmodel import col, select

from services.accounts.errors import (
    ApiClientNotFound,
    ApiKeyNotFound,
    ClientSecretNotFound,
    OrganizationNotFound,
    PublishableKeyNotFound,
)
from services.accounts.models.credentials import (
    ApiClientRow,
    ApiClientShopRow,
    ApiKeyRow,
    ClientSecretRow,
    PublishableKeyRow,
)
from services.accounts.models.organizations import OrganizationRow, ShopRow
from shared.bus.envelope import ShopNotFound
from shared.unit_of_work import UnitOfWork


async def enter(uow: UnitOfWork, organization_id: UUID | None) -> None:
    """From here on `uow` sees the tenant that a credential turned out to belong to; none for an unknown one."""
    await uow.execute(
        "SELECT set_config('crossdock.organization_id', $1, true)",
        "" if organization_id is None else str(organization_id),
    )


# --- organizations and shops


async def get_organization(uow: UnitOfWork, *, lock: bool = False) -> OrganizationRow:
    """The tenant itself; locked, it is also what keeps two changes to its tree of shops apart."""
    session = await uow.session()
    found = await session.get(OrganizationRow, uow.organization_id, with_for_update=lock or None)
    if found is None:
        raise OrganizationNotFound("There is no such organization.")
    return found


async def get_shop(uow: UnitOfWork, shop_id: UUID, *, lock: bool = False) -> ShopRow:
    """Raises ShopNotFound, for a shop outside the caller's limit too."""
    uow.caller.require_shop(shop_id)
    session = await uow.session()
    found = await session.get(ShopRow, (uow.organization_id, shop_id), with_for_update=lock or None)
    if found is None:
        raise ShopNotFound("There is no such shop.")
    return found


async def list_shops(
    uow: UnitOfWork, *, code: str | None, parent_id: UUID | None, after: str | None, count: int
) -> Sequence[ShopRow]:
    """Up to `count` shops the caller may see, by code."""
    query = select(ShopRow).order_by(col(ShopRow.code)).limit(count)
    if uow.caller.shop_ids is not None:
        query = query.where(col(ShopRow.id).in_(uow.caller.shop_ids))
    if code is not None:
        query = query.where(ShopRow.code == code)
    if parent_id is not None:
        query = query.where(ShopRow.parent_id == parent_id)
    if after is not None:
        query = query.where(ShopRow.code > after)
    return (await (await uow.session()).scalars(query)).all()


async def shops_with_their_sub_shops(uow: UnitOfWork, shop_ids: Collection[UUID]) -> list[UUID]:
    """Those of `shop_ids` that exist, and every shop below them."""
    rows = await uow.fetch(
        "WITH RECURSIVE below AS (SELECT id FROM shops WHERE id = ANY($1::uuid[])"
        " UNION SELECT shops.id FROM shops JOIN below ON shops.parent_id = below.id) SELECT id FROM below",
        list(shop_ids),
    )
    return [row["id"] for row in rows]


async def count_shops(uow: UnitOfWork, shop_ids: Collection[UUID] | None = None) -> int:
    """How many of the organization's shops there are, or how many of `shop_ids` are among them."""
    return await uow.fetchval(
        "SELECT count(*) FROM shops WHERE $1::uuid[] IS NULL OR id = ANY($1)",
        None if shop_ids is None else list(shop_ids),
    )


async def has_sub_shops(uow: UnitOfWork, shop_id: UUID) -> bool:
    return await uow.fetchval("SELECT EXISTS (SELECT FROM shops WHERE parent_id = $1)", shop_id)


# --- API clients


async def get_client(uow: UnitOfWork, client_id: UUID, *, lock: bool = False) -> ApiClientRow:
    """Raises ApiClientNotFound, for a client that reaches beyond the shops the caller is limited to as well."""
    session = await uow.session()
    found = await session.get(ApiClientRow, (uow.organization_id, client_id), with_for_update=lock or None)
    if found is None or not await _is_within_callers_shops(uow, found):
        raise ApiClientNotFound("There is no such API client.")
    return found


async def _is_within_callers_shops(uow: UnitOfWork, client: ApiClientRow) -> bool:
    if uow.caller.shop_ids is None:
        return True
    shop_ids = (await shops_of_clients(uow, [client.id])).get(client.id, [])
    return client.is_limited_to_shops and uow.caller.shop_ids.issuperset(shop_ids)


async def list_clients(uow: UnitOfWork, *, after: UUID | None, count: int) -> Sequence[ApiClientRow]:
    """Up to `count` clients the caller may see, newest first: their ids are in the order of their making."""
    query = select(ApiClientRow).order_by(col(ApiClientRow.id).desc()).limit(count)
    if uow.caller.shop_ids is not None:
        reaches_beyond = select(ApiClientShopRow).where(
            ApiClientShopRow.client_id == ApiClientRow.id, col(ApiClientShopRow.shop_id).not_in(uow.caller.shop_ids)
        )
        query = query.where(col(ApiClientRow.is_limited_to_shops), ~reaches_beyond.exists())
    if after is not None:
        query = query.where(col(ApiClientRow.id) < after)
    return (await (await uow.session()).scalars(query)).all()


async def shops_of_clients(uow: UnitOfWork, client_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The shops each client is limited to, as they were given."""
    rows = await uow.fetch(
        "SELECT client_id, array_agg(shop_id ORDER BY shop_id) AS shop_ids FROM api_client_shops"
        " WHERE client_id = ANY($1) GROUP BY client_id",
        list(client_ids),
    )
    return {row["client_id"]: row["shop_ids"] for row in rows}


async def replace_shops_of_client(uow: UnitOfWork, client_id: UUID, shop_ids: Collection[UUID]) -> None:
    await uow.execute("DELETE FROM api_client_shops WHERE client_id = $1", client_id)
    await uow.execute(
        "INSERT INTO api_client_shops (organization_id, client_id, shop_id) SELECT $1, $2, unnest($3::uuid[])",
        uow.organization_id,
        client_id,
        sorted(set(shop_ids)),
    )


async def secrets_of(uow: UnitOfWork, client_ids: Sequence[UUID]) -> Sequence[ClientSecretRow]:
    """Oldest first."""
    query = select(ClientSecretRow).where(col(ClientSecretRow.client_id).in_(client_ids))
    return (await (await uow.session()).scalars(query.order_by(col(ClientSecretRow.id)))).all()


async def get_secret(uow: UnitOfWork, client_id: UUID, secret_id: UUID) -> ClientSecretRow:
    """Raises ClientSecretNotFound."""
    found = await (await uow.session()).get(ClientSecretRow, (uow.organization_id, client_id, secret_id))
    if found is None:
        raise ClientSecretNotFound("The client has no such secret.")
    return found


async def keys_of(uow: UnitOfWork, client_ids: Sequence[UUID]) -> Sequence[ApiKeyRow]:
    """Oldest first."""
    query = select(ApiKeyRow).where(col(ApiKeyRow.client_id).in_(client_ids)).order_by(col(ApiKeyRow.id))
    return (await (await uow.session()).scalars(query)).all()


async def get_api_key(uow: UnitOfWork, client_id: UUID, key_id: UUID) -> ApiKeyRow:
    """Raises ApiKeyNotFound."""
    found = await (await uow.session()).get(ApiKeyRow, (uow.organization_id, key_id), with_for_update=True)
    if found is None or found.client_id != client_id:
        raise ApiKeyNotFound("The client has no such key.")
    return found


# --- publishable keys


async def get_publishable_key(uow: UnitOfWork, key_id: UUID) -> PublishableKeyRow:
    """Raises PublishableKeyNotFound."""
    session = await uow.session()
    found = await session.get(PublishableKeyRow, (uow.organization_id, key_id), with_for_update=True)
    if found is None or not uow.caller.sees_shop(found.shop_id):
        raise PublishableKeyNotFound("There is no such publishable key.")
    return found


async def list_publishable_keys(
    uow: UnitOfWork, *, shop_id: UUID | None, after: UUID | None, count: int
) -> Sequence[PublishableKeyRow]:
    """Up to `count` keys of shops the caller may see, newest first."""
    query = select(PublishableKeyRow).order_by(col(PublishableKeyRow.id).desc()).limit(count)
    if uow.caller.shop_ids is not None:
        query = query.where(col(PublishableKeyRow.shop_id).in_(uow.caller.shop_ids))
    if shop_id is not None:
        query = query.where(PublishableKeyRow.shop_id == shop_id)
    if after is not None:
        query = query.where(col(PublishableKeyRow.id) < after)
    return (await (await uow.session()).scalars(query)).all()
