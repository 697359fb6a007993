"""The copies of shops: in every service that keeps one, whatever comes in whatever order ends in the same row."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.catalog.repository import shops as catalog_shops
from services.inventory.repository import shop_centres
from services.orders.repository import shops
from services.payments.repository import order_records
from services.search.repository import shops as search_shops
from shared.bus.envelope import service_envelope
from shared.contracts.accounts.events import ShopChanged, ShopRemoved
from shared.contracts.accounts.shapes import Shop
from shared.contracts.base import Event
from shared.identifiers import new_id
from shared.unit_of_work import UnitOfWork
from tests.conftest import examples
from tests.factories.catalog import a_shop
from tests.waiting import until

pytestmark = pytest.mark.feature("ACC-3")

KEEPING = ("catalog", "inventory", "orders", "payments", "search", "sync")
REMOVED = 0


async def _only_one_of_code(uow: UnitOfWork, code: str) -> Any:
    (shop,) = await catalog_shops.list_by_codes(uow, [code])
    return shop


async def _of_list(uow: UnitOfWork, code: str) -> Any:
    return (await shops.SHOPS.list_by_codes(uow, [code])).get(code)


FINDING: tuple[tuple[str, Callable[[UnitOfWork, str], Awaitable[Any]]], ...] = (
    ("catalog", catalog_shops.get_by_code),
    ("catalog", _only_one_of_code),
    ("inventory", shop_centres.SHOPS.find_by_code),
    ("orders", shops.SHOPS.find_by_code),
    ("orders", _of_list),
    ("payments", order_records.SHOPS.find_by_code),
    ("search", search_shops.find_by_code),
)


def test_every_service_that_hears_of_shops_is_tested_here() -> None:
    listening = {service.name for service in topology.named("all") if ShopChanged.wire_name in service.listeners}
    assert listening == set(KEEPING)


@pytest.mark.parametrize("service", KEEPING)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(news=st.lists(st.integers(REMOVED, 4), min_size=1, max_size=8))
@example(news=[REMOVED, 1])
@example(news=[1, REMOVED, 2])
@example(news=[2, 1, 2])
async def test_any_order_and_repetition_ends_in_the_same_row(
    process: topology.Surrounded, service: str, news: list[int]
) -> None:
    as_it_was = await _row_after(process, service, sorted(set(news) - {REMOVED}) + sorted(set(news) & {REMOVED}))
    assert await _row_after(process, service, news) == as_it_was
    assert (as_it_was["version"], as_it_was["is_removed"]) == (max(news), REMOVED in news)


async def _row_after(process: topology.Surrounded, service: str, news: Sequence[int]) -> dict[str, Any]:
    """What a service keeps of a new shop of a new organization after versions, and removals, came one by one."""
    shop = a_shop(new_id())
    for version in news:
        uow = _unit_of_work(process, service, shop.organization_id)
        await _hear(service, ShopRemoved(shop_id=shop.id) if version == REMOVED else _version(shop, version), uow)
        await uow.commit()
    uow = _unit_of_work(process, service, shop.organization_id)
    try:
        (row,) = await uow.fetch(f"SELECT * FROM {service}.shops")
    finally:
        await uow.rollback()
    return {name: value for name, value in row.items() if name not in ("organization_id", "id")}


@pytest.mark.parametrize("service", KEEPING)
@pytest.mark.parametrize("first_known", [0, 1])
@pytest.mark.parametrize("then", [2, REMOVED])
async def test_of_two_at_once_the_second_sees_the_first(
    process: topology.Surrounded, service: str, first_known: int, then: int
) -> None:
    shop = a_shop(new_id())
    if first_known:
        uow = _unit_of_work(process, service, shop.organization_id)
        await _hear(service, _version(shop, first_known), uow)
        await uow.commit()
    ahead, behind = [_unit_of_work(process, service, shop.organization_id) for _ in range(2)]
    await _hear(service, _version(shop, 3), ahead)
    event = ShopRemoved(shop_id=shop.id) if then == REMOVED else _version(shop, then)
    waiting = asyncio.create_task(_hear(service, event, behind))
    connection = await asyncpg.connect(os.environ["CROSSDOCK_ADMIN_URL"])
    await until(lambda: connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    await ahead.commit()
    await waiting
    await behind.commit()
    row = await connection.fetchrow(f"SELECT * FROM {service}.shops WHERE id = $1", shop.id)
    assert (row["code"], row["version"], row["is_removed"]) == ("shop-3", 3, then == REMOVED)
    await connection.close()


@pytest.mark.parametrize(("service", "find"), FINDING)
async def test_a_code_that_went_to_a_younger_shop_is_its_own_before_the_older_is_renamed_here(
    process: topology.Surrounded, service: str, find: Callable[[UnitOfWork, str], Awaitable[Any]]
) -> None:
    older = a_shop(new_id())
    younger = a_shop(older.organization_id)
    for shop in (older, younger):
        uow = _unit_of_work(process, service, shop.organization_id)
        await _hear(service, ShopChanged(shop=shop), uow)
        await uow.commit()
    uow = _unit_of_work(process, service, older.organization_id)
    found = await find(uow, older.code)
    await uow.rollback()
    assert (found["id"] if isinstance(found, asyncpg.Record) else found.id) == younger.id


@pytest.mark.parametrize("service", KEEPING)
async def test_another_tenants_news_leave_a_shop_alone(process: topology.Surrounded, service: str) -> None:
    shop = a_shop(new_id())
    for organization_id, event in (
        (shop.organization_id, _version(shop, 1)),
        (new_id(), _version(shop, 2)),
        (new_id(), ShopRemoved(shop_id=shop.id)),
    ):
        uow = _unit_of_work(process, service, organization_id)
        await _hear(service, event, uow)
        await uow.commit()
    uow = _unit_of_work(process, service, shop.organization_id)
    (row,) = await uow.fetch(f"SELECT * FROM {service}.shops")
    await uow.rollback()
    assert (row["code"], row["version"], row["is_removed"]) == ("shop-1", 1, False)


def _version(shop: Shop, version: int) -> ShopChanged:
    """A version in which all that is kept of a shop differs from every other one."""
    return ShopChanged(
        shop=shop.model_copy(
            update={
                "code": f"shop-{version}",
                "name": f"Shop {version}",
                "currency": ("USD", "EUR", "GBP", "CHF")[version - 1],
                "locale": ("en", "de", "fr", "nl")[version - 1],
                "parent_id": UUID(int=version) if version % 2 else None,
                "strict_pricing": bool(version % 2),
                "storefront_url": f"https://shop-{version}.example",
                "version": version,
            }
        )
    )


async def _hear(service: str, event: Event, uow: UnitOfWork) -> None:
    """A service's listener; whatever it would wake in this process stays asleep."""
    uow.when_committed = lambda hook: None  # type: ignore[method-assign]
    (assembled,) = topology.named(service)
    await assembled.listeners[event.wire_name].hear([event], uow)


def _unit_of_work(process: topology.Surrounded, service: str, organization_id: UUID) -> UnitOfWork:
    return process.surroundings.unit_of_work(service, service_envelope(service, organization_id))
