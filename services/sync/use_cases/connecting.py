"""Connections: made, changed, tested, paused and forgotten."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from services.sync.errors import AlreadyConnected, ConnectionChangedSince, ConnectionIsBusy, InvalidCredentials
from services.sync.models import FEEDS, orders_from
from services.sync.platforms.base import Account, Platform
from services.sync.platforms.registry import REVERSE, get_platform
from services.sync.repository import connections, creations, feeds, standings, upkeep
from services.sync.repository.shops import SHOPS
from services.sync.repository.upkeep import MAINTENANCE_JOB
from services.sync.sealing import sealed
from services.sync.use_cases import agents, schedules, sessions, snapshots
from services.sync.use_cases.comparing_anew import compare_anew
from services.sync.use_cases.configuring import check_names, merged, unknown_places
from services.sync.use_cases.creating import FIND_CANDIDATES, drop_creations
from services.sync.use_cases.dropping import drop_soon
from services.sync.use_cases.feeds import shape as feed_shape
from services.sync.use_cases.telling import identity
from shared import clock, jobs
from shared.bus.envelope import ShopNotFound
from shared.contracts.accounts.messages import ListShops
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Page
from shared.contracts.catalog.channel_content import CountChannelContent
from shared.contracts.orders.imported import KeepOrderConnection, OrderConnectionDraft
from shared.contracts.sync.events import ConnectionChanged, ConnectionRemoved
from shared.contracts.sync.shapes import (
    Connection,
    ConnectionChange,
    ConnectionDraft,
    ConnectionSettings,
    Entity,
    Greeting,
)
from shared.contracts.sync.work import Clock, Clocks, DeletionPreview
from shared.identifiers import new_id
from shared.pagination import id_after, page_by_id
from shared.security import SecretText
from shared.settings import settings
from shared.unit_of_work import UnitOfWork

KEEP_ORDER_CONNECTION = "sync.keep_order_connection"
ANNOUNCE_CONNECTIONS = "sync.announce_connections"

# Settings that decide what goes out of records of a kind.
_DECIDING: dict[Entity, tuple[str, ...]] = {"product": ("fields", "price"), "stock": ("locations", "stock_buffer")}


async def create(uow: UnitOfWork, draft: ConnectionDraft) -> Connection:
    """Greet the platform, unless it comes to us, then keep the connection, with its feeds.

    Raises ShopNotFound, UnknownPlatform, InvalidConnectionSettings, InvalidCredentials, AlreadyConnected, and as
    `sessions.greet`.
    """
    platform = get_platform(draft.platform)
    platform.check_settings(draft.settings.platform)
    texts = _plain(platform, draft.credentials)
    account = Account(draft.settings.platform, texts, sessions.folder_of(uow.organization_id))
    known, told = await _find_shop(uow, draft.shop)
    connection_id = new_id()
    greeting = None
    if draft.platform not in REVERSE:
        greeting = await sessions.greet(uow.resident, uow.organization_id, connection_id, draft.platform, account)
    await check_names(uow, greeting, ConnectionSettings(), draft.settings)
    if told is not None:
        await SHOPS.take(uow, told)
    await _check_is_alone(uow, platform, draft)
    await connections.add(
        uow,
        {
            "id": connection_id,
            "shop_id": known,
            "platform": draft.platform,
            "name": draft.name,
            "settings": draft.settings.model_dump_json(),
            "credentials": sealed(account.credentials),
            "greeting": greeting and greeting.model_dump_json(),
            "checked_at": greeting and clock.now(),
        },
    )
    token = await agents.new_token(uow, connection_id) if draft.platform in REVERSE else None
    row = await connections.get(uow, connection_id)
    uow.record(ConnectionChanged(connection=identity(row)))
    await feeds.add(uow, connection_id, _first_feeds(platform, row["time_zone"]))
    uow.defer(KEEP_ORDER_CONNECTION, {"connection_id": str(connection_id)})
    if draft.settings.create_products:
        uow.defer(FIND_CANDIDATES, {"category_ids": None, "after": None})
    uow.audit("connection.create", "connection", connection_id, after=_described(row))
    return shape(row).model_copy(update={"agent_token": token})


async def _check_is_alone(uow: UnitOfWork, platform: Platform, draft: ConnectionDraft) -> None:
    """Raises AlreadyConnected."""
    if draft.platform in REVERSE:
        # Nobody can say where an agent comes from.
        return
    address = platform.base_url(draft.settings.platform)
    for row in await connections.list_of_shops(uow, None):
        known = ConnectionSettings.model_validate_json(row["settings"]).platform
        if row["platform"] == draft.platform and platform.base_url(known) == address:
            raise AlreadyConnected(f"The connection '{row['name']}' leads there already.")


def _first_feeds(platform: Platform, time_zone: str) -> list[tuple[str, bool, str | None, Any]]:
    """All that the platform has run by the clock; stock comes in when somebody asks, once."""
    rows: list[tuple[str, bool, str | None, Any]] = []
    for kind, rule in FEEDS.items():
        is_enabled = kind not in platform.lacks
        cron = rule.cron if is_enabled else None
        rows.append((kind, is_enabled, cron, schedules.following(cron, time_zone, clock.now())))
    return rows


async def _find_shop(uow: UnitOfWork, code: str) -> tuple[UUID, Shop | None]:
    """A shop that the caller may see; one we have not heard of yet is told by accounts. Raises ShopNotFound."""
    async with uow.beforehand() as earlier:
        shop = await SHOPS.find_by_code(earlier, code)
    told = None
    if shop is None:
        found = await uow.ask(ListShops(code=code, first=1))
        told = found.items[0] if found.items else None
    shop_id = shop["id"] if shop else told.id if told else None
    if shop_id is None or not uow.caller.sees_shop(shop_id):
        raise ShopNotFound(f"There is no shop with the code '{code[:100]}'.")
    return shop_id, told


def _plain(platform: Platform, credentials: Mapping[str, SecretText]) -> dict[str, str]:
    """Raises InvalidCredentials for one that the platform does not have; what it needs, its session says."""
    texts = {name: secret.reveal() for name, secret in credentials.items()}
    unknown = sorted(texts.keys() - set(platform.credential_names))
    if unknown:
        names = ", ".join(platform.credential_names) or "none at all"
        raise InvalidCredentials(f"{platform.title} has no credential '{unknown[0][:100]}'; it has {names}.")
    if any(len(text) > 4000 or not _is_visible(text) for text in texts.values()):
        raise InvalidCredentials("A credential is a text of visible characters, 4,000 at most.")
    return texts


def _is_visible(text: str) -> bool:
    """A key as files have it has lines; whatever else goes into a header has none."""
    return (text.replace("\n", "") if text.startswith("-----BEGIN ") else text).isprintable()


async def change(
    uow: UnitOfWork, connection_id: UUID, change: ConnectionChange, expected_version: int | None
) -> Connection:
    """Raises ConnectionNotFound, ConnectionChangedSince, and as `create`. Settings that are not given stay."""
    given = change.given()
    async with uow.beforehand() as earlier:
        before = await connections.get(earlier, connection_id)
        known = ConnectionSettings.model_validate_json(before["settings"])
    values: dict[str, Any] = {}
    wanted = merged(known, given["settings"]) if "settings" in given else known
    has_new_places = bool(unknown_places(_greeting(before["greeting"]), known, wanted))
    if "credentials" in given or wanted.platform != known.platform or has_new_places:
        values = await _greeted(uow, before, wanted, given)
        # What was tried is what is kept: not beside something else that was changed meanwhile.
        expected_version = before["version"] if expected_version is None else expected_version
    await check_names(uow, _greeting(values.get("greeting", before["greeting"])), known, wanted)
    row = await connections.get(uow, connection_id, lock=True)
    if expected_version is not None and expected_version != row["version"]:
        raise ConnectionChangedSince(
            f"The connection has version {row['version']} now, not {expected_version}; read it again."
        )
    if "name" in given:
        values["name"] = given["name"]
    if "settings" in given:
        known = ConnectionSettings.model_validate_json(row["settings"])
        wanted = merged(known, given["settings"])
        values["settings"] = wanted.model_dump_json()
        uow.defer(KEEP_ORDER_CONNECTION, {"connection_id": str(connection_id)})
        await _turn_creations(uow, connection_id, known, wanted)
        await _compare_anew(uow, connection_id, known, wanted)
        if known.passes_on != wanted.passes_on or known.fields != wanted.fields:
            await _compare_others(uow, connection_id)
        if orders_from(wanted, row["created_at"]) < orders_from(known, row["created_at"]):
            # What was left alone until now is asked for.
            await connections.reset_clock(uow, connection_id, "order")
    if values:
        await connections.put(uow, connection_id, values)
    after = await connections.get(uow, connection_id)
    if after["name"] != row["name"]:
        uow.record(ConnectionChanged(connection=identity(after)))
    told = _described(after) | {"credentials_changed": "credentials" in given}
    uow.audit("connection.change", "connection", connection_id, before=_described(row), after=told)
    return shape(after)


async def _turn_creations(
    uow: UnitOfWork, connection_id: UUID, before: ConnectionSettings, after: ConnectionSettings
) -> None:
    """What waits to be made on the platform is over when nothing is made there any more, and made anew as it is now."""
    if not after.create_products:
        await drop_creations(uow, connection_id)
    elif any(getattr(before, name) != getattr(after, name) for name in ("create_products", "fields", "price")):
        uow.defer(FIND_CANDIDATES, {"category_ids": None, "after": None})


async def _compare_anew(
    uow: UnitOfWork, connection_id: UUID, before: ConnectionSettings, after: ConnectionSettings
) -> None:
    """What goes out may be different by the new rules."""
    for entity, names in _DECIDING.items():
        if any(getattr(before, name) != getattr(after, name) for name in names):
            await compare_anew(uow, connection_id, entity)


async def _greeted(
    uow: UnitOfWork, row: asyncpg.Record, wanted: ConnectionSettings, given: Mapping[str, Any]
) -> dict[str, Any]:
    """What a connection's row becomes when the platform takes the new credentials or settings."""
    platform = get_platform(row["platform"])
    known = sessions.account_of(row, uow.organization_id)
    platform.check_settings(wanted.platform)
    texts = _plain(platform, given["credentials"]) if "credentials" in given else known.credentials
    account = Account(wanted.platform, texts, known.folder)
    greeting = await sessions.greet(uow.resident, uow.organization_id, row["id"], row["platform"], account)
    values = {"greeting": greeting.model_dump_json(), "checked_at": clock.now(), "needs_credentials": False}
    return values | ({"credentials": sealed(texts)} if "credentials" in given else {})


async def test(uow: UnitOfWork, connection_id: UUID) -> Connection:
    """Raises ConnectionNotFound, and as `sessions.greet`."""
    async with uow.beforehand() as earlier:
        row = await connections.get(earlier, connection_id)
    values = await _greeted(uow, row, ConnectionSettings.model_validate_json(row["settings"]), {})
    await connections.get(uow, connection_id, lock=True)
    await connections.put(uow, connection_id, values)
    return await get(uow, connection_id)


async def greet_first(uow: UnitOfWork, connection_id: UUID) -> None:
    """As `test`, where nobody has answered before."""
    async with uow.beforehand() as earlier:
        row = await connections.get(earlier, connection_id)
    if row["checked_at"] is None:
        await test(uow, connection_id)


async def pause(uow: UnitOfWork, connection_id: UUID, *, is_paused: bool) -> Connection:
    """Stop a connection's traffic between two requests, or let it go on. Raises ConnectionNotFound."""
    row = await connections.get(uow, connection_id, lock=True)
    if row["is_paused"] != is_paused:
        await connections.put(uow, connection_id, {"is_paused": is_paused})
        action = "connection.pause" if is_paused else "connection.resume"
        uow.audit(action, "connection", connection_id)
        if not is_paused:
            await jobs.wake(uow, await feeds.list_running(uow, connection_id))
    return await get(uow, connection_id)


async def get(uow: UnitOfWork, connection_id: UUID) -> Connection:
    """Raises ConnectionNotFound."""
    return shape(await connections.get(uow, connection_id))


async def list_page(uow: UnitOfWork, first: int, after: str | None) -> Page[Connection]:
    return page_by_id(await connections.list_page(uow, id_after(after), first + 1), first, shape)


async def preview_deletion(uow: UnitOfWork, connection_id: UUID) -> DeletionPreview:
    """Raises ConnectionNotFound."""
    async with uow.beforehand() as earlier:
        await connections.get(earlier, connection_id)
        counts = await connections.count_what_it_has(earlier, connection_id)
    content = await uow.ask(CountChannelContent(connection_id=connection_id))
    return DeletionPreview(counts=counts | {"channel_contents": content.products})


async def delete(uow: UnitOfWork, connection_id: UUID) -> None:
    """Forget a connection but for a snapshot of what it had. Raises ConnectionNotFound, ConnectionIsBusy."""
    row = await connections.get(uow, connection_id, lock=True)
    if await feeds.find_running(uow, connection_id) is not None:
        raise ConnectionIsBusy("Feeds of the connection still run; cancel them, or wait for their end.")
    if await upkeep.find_running(uow, MAINTENANCE_JOB, connection_id) is not None:
        raise ConnectionIsBusy("The connection is being put in order; cancel that, or wait for its end.")
    counts = await connections.count_what_it_has(uow, connection_id)
    kinds = [feed_shape(each) for each in await feeds.list_of(uow, connection_id)]
    clocks = [Clock(**dict(each)) for each in await connections.list_clocks(uow, connection_id)]
    await snapshots.begin(uow, row["shop_id"], shape(row), kinds, clocks, counts)
    await connections.delete(uow, connection_id)
    drop_soon(uow, connection_id)
    uow.record(ConnectionRemoved(connection_id=connection_id))
    standings.tell_soon(uow)
    uow.audit("connection.delete", "connection", connection_id, before=_described(row) | {"counts": counts})


async def announce_all(uow: UnitOfWork) -> None:
    """Tell whoever keeps what connections are called of all that there are. Safe to repeat."""
    for row in await connections.list_of_shops(uow, None):
        uow.record(ConnectionChanged(connection=identity(row)))


async def list_clocks(uow: UnitOfWork, connection_id: UUID) -> Clocks:
    """Raises ConnectionNotFound."""
    await connections.get(uow, connection_id)
    rows = await connections.list_clocks(uow, connection_id)
    return Clocks(items=[Clock(**dict(row)) for row in rows])


async def reset_clock(uow: UnitOfWork, connection_id: UUID, entity: Any) -> Clocks:
    """Raises ConnectionNotFound."""
    await connections.get(uow, connection_id, lock=True)
    await connections.reset_clock(uow, connection_id, entity)
    uow.audit("connection.reset_clock", "connection", connection_id, after={"entity": entity})
    return await list_clocks(uow, connection_id)


async def keep_order_connection(uow: UnitOfWork, connection_id: UUID) -> None:
    """Tell orders how the orders of a connection are taken: under the connection's own id. Safe to repeat."""
    async with uow.beforehand() as earlier:
        found = await connections.find(earlier, connection_id)
    if found is None:
        return
    settings = ConnectionSettings.model_validate_json(found["settings"])
    draft = OrderConnectionDraft(
        shop=found["shop"],
        name=found["name"],
        status_map=settings.order_statuses,
        stock_missing=settings.stock_missing,
        recheck_limit=settings.recheck_limit,
    )
    await uow.ask(KeepOrderConnection(connection_id=connection_id, connection=draft))


def shape(row: asyncpg.Record) -> Connection:
    same = ("id", "platform", "name", "shop", "mode", "is_paused", "needs_credentials", "checked_at", "live_at")
    return Connection(
        **{name: row[name] for name in (*same, "created_at", "updated_at", "version")},
        settings=ConnectionSettings.model_validate_json(row["settings"]),
        greeting=_greeting(row["greeting"]),
        lacks=sessions.lacks_of(row),
        webhook_url=f"{settings().base_url.rstrip('/')}/v1/platform-webhooks/{row['id']}",
    )


async def _compare_others(uow: UnitOfWork, connection_id: UUID) -> None:
    """What others receive of this connection is different by the new rules."""
    for row in await connections.list_of_shops(uow, None):
        if row["id"] != connection_id:
            await compare_anew(uow, row["id"], "product")
    if await creations.is_any_wanted(uow):
        uow.defer(FIND_CANDIDATES, {"category_ids": None, "after": None})


def _greeting(told: str | None) -> Greeting | None:
    return Greeting.model_validate_json(told) if told else None


def _described(row: asyncpg.Record) -> dict[str, Any]:
    told = {name: row[name] for name in ("platform", "name", "mode", "settings")}
    return told | {"shop_id": str(row["shop_id"])}
