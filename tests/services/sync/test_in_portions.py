"""What concerns a whole connection is done some thousands of records at a time; a kill costs none of them (SYN-8)."""

from typing import Any
from uuid import UUID

import pytest

from services.sync.errors import PlatformAway
from services.sync.repository import changes, connections, creations, listings
from services.sync.use_cases import comparing_anew, creating, dropping, fetching
from shared.unit_of_work import UnitOfWork
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products
from tests.services.sync import test_creating
from tests.services.sync.test_creating import category, configure, made_there, sell
from tests.services.sync.test_in_sets import live
from tests.services.sync.test_products_out import set_up

pytestmark = pytest.mark.feature("SYN-8", "SYN-6", "SYN-10", "SYN-16")


async def test_what_vanished_goes_in_portions_and_a_killed_run_goes_on_with_the_rest(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_GONE_AT_ONCE", 1)
    put_products(fake, 12)
    await connected.confirm_matches()
    await connected.run("import_products")
    for number in ("11", "12"):
        fake.remove_product(number)
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    mark, portions = listings.mark_gone, 0

    async def dying(*arguments: Any) -> list[UUID]:
        nonlocal portions
        portions += 1
        if portions == 3:
            raise PlatformAway("killed")
        return await mark(*arguments)

    monkeypatch.setattr(listings, "mark_gone", dying)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["gone"]) == ("succeeded", 4), done
    # Each kind is over where a portion is not full; one was tried twice.
    assert portions == 7
    items = (await connected.get(f"/v1/listings?connection_id={connected.id}&first=200"))["items"]
    assert sorted(each["external_id"] for each in items if each["gone_at"]) == ["11", "110", "12", "120"]


async def test_other_rules_are_followed_by_all_records_however_many(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing_anew, "AT_ONCE", 2)
    await live(connected, fake, 5)
    answer = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": {"stock_buffer": 3}}, headers=connected.headers
    )
    assert answer.status_code == 200, answer.text
    await connected.heard_all()
    done = await connected.run("export_stock")
    assert (done["state"], done["counters"]["sent"]) == ("succeeded", 5)
    assert {fake.stock(f"SCARF-{number}", "main") for number in range(1, 6)} == {7}


async def test_what_a_deleted_connection_had_goes_in_portions_and_is_out_of_sight_at_once(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropping, "AT_ONCE", 3)
    await live(connected, fake, 4)
    drop = connections.drop_left
    seen: list[int] = []

    async def dropping_some(uow: UnitOfWork, *arguments: Any) -> None:
        seen.append(await uow.fetchval("SELECT count(*) FROM listings"))
        await drop(uow, *arguments)

    monkeypatch.setattr(connections, "drop_left", dropping_some)
    answer = await connected.client.delete(f"/v1/connections/{connected.id}", headers=connected.headers)
    assert answer.status_code == 204, answer.text
    for path in ("listings", "changes", "issues"):
        assert (await connected.get(f"/v1/{path}?first=50"))["items"] == []

    async def all_are_gone() -> bool:
        return len(seen) >= 5 and await connected.waiting_tasks() == 0

    await eventually(all_are_gone, 60)
    # When the records are gone, issues may follow.
    assert seen[:5] == [12, 9, 6, 3, 0]
    assert not any(seen[5:])
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    left = await uow.fetchval(
        "SELECT (SELECT count(*) FROM listings) + (SELECT count(*) FROM changes) + (SELECT count(*) FROM issues)"
    )
    await uow.rollback()
    assert (left, len(await connected.products())) == (0, 4)


async def test_what_would_do_harm_is_held_in_portions_and_a_killed_run_goes_on_with_the_rest(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_HELD_AT_ONCE", 2)
    await set_up(connected, fake, 8)
    for number in range(1, 7):
        _, fields, variants = product(number, status="archived")
        fake.put_product(str(number), fields, variants)
    hold, portions = changes.hold_harm, 0

    async def dying(*arguments: Any) -> UUID | None:
        nonlocal portions
        portions += 1
        if portions == 2:
            raise PlatformAway("killed")
        return await hold(*arguments)

    monkeypatch.setattr(changes, "hold_harm", dying)
    done = await connected.run("update_products")
    # Three of two each, one of them tried twice, and one that finds no more.
    assert (done["state"], portions) == ("succeeded", 5), done
    assert len(await connected.changes(state="review")) == 6
    assert {each["status"] for each in (await connected.products()).values()} == {"active"}


async def waiting(connected: Connected, fake: CustomShop, count: int) -> None:
    """So many products of ours wait to be made."""
    await test_creating.live(connected, fake)
    branches = [await category(connected)]
    for number in range(count):
        variants = [{"sku": f"MITTEN-{number}", "options": {"Size": "S"}}]
        await sell(connected, slug=f"mitten-{number}", category_ids=branches, variants=variants)


async def test_what_waits_to_be_made_goes_in_portions_when_nothing_is_made_any_more(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is on its way makes none of it, though most is there yet."""
    monkeypatch.setattr(creating, "DROPPED_AT_ONCE", 1)
    await waiting(connected, fake, 3)
    begin, left = creations.begin, []

    async def beginning(uow: UnitOfWork, contents: Any) -> Any:
        await configure(connected, create_products=False)
        left.append(await uow.fetchval("SELECT count(*) FROM listings WHERE external_id IS NULL"))
        return await begin(uow, contents)

    monkeypatch.setattr(creations, "begin", beginning)
    done = await connected.run("export_products")
    assert (done["state"], made_there(fake)) == ("succeeded", []), done
    assert left[0] > 0
    await connected.heard_all()
    assert (await connected.get("/v1/listings?entity=product&first=50"))["items"][1:] == []
    assert await connected.changes(direction="out") == []
