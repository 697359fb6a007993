"""What is done with many records at once is done in sets, and only where something is different (SYN-4, SYN-12)."""

from typing import Any
from uuid import UUID

import pytest

from services.sync.repository import listings
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import put_products
from tests.services.sync.test_creating import configure
from tests.services.sync.test_orders_and_stock import adjust, set_up
from tests.waiting import until

pytestmark = pytest.mark.feature("SYN-4", "SYN-12")


async def live(connected: Connected, fake: CustomShop, count: int) -> None:
    """So many products, with ten of each in stock, and the connection live; stock is sent when somebody asks."""
    feed = connected.feeds["export_stock"]["id"]
    await connected.client.patch(f"/v1/feeds/{feed}", json={"cron": None}, headers=connected.headers)
    await set_up(connected, fake, count)
    await connected.heard_all()
    await connected.run("export_stock")
    await connected.go_live()


async def test_each_record_of_a_batch_has_its_own_fate(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, 4)
    for number in range(1, 5):
        await adjust(connected, f"SCARF-{number}", -number)
    await connected.heard_all()
    fake.put_stock("SCARF-2", "main", 5)
    del fake.kept["stock"]["main/SCARF-3"]
    fake.put_stock("SCARF-4", "main", 6)

    done = await connected.run("export_stock")

    told = {name: done["counters"].get(name, 0) for name in ("sent", "unchanged", "stale", "failed")}
    assert told == {"sent": 1, "unchanged": 1, "stale": 1, "failed": 1}, done
    fates = {each["sku"]: (each["state"], each["reason"]) for each in await connected.changes(direction="out")}
    assert fates == {
        "SCARF-1": ("applied", "ok"),
        "SCARF-2": ("queued", "stale"),
        "SCARF-3": ("failed", "refused"),
        "SCARF-4": ("applied", "unchanged"),
    }
    (issue,) = [each for each in await connected.issues() if each["issue_class"] == "error"]
    assert (issue["code"], issue["subject"]) == ("refused", "main/SCARF-3")
    assert "no stock level" in issue["remote_message"]
    (listing,) = (await connected.get(f"/v1/listings?entity=stock&sku=SCARF-2&connection_id={connected.id}"))["items"]
    assert listing["acknowledged"]["quantity"] == 5


async def test_reading_everything_again_writes_nothing_that_is_the_same(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 5)
    await connected.run("import_products")

    async def versions() -> dict[str, Any]:
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        rows = await uow.fetch(
            "SELECT external_id, xmin::text AS written FROM listings WHERE connection_id = $1", UUID(connected.id)
        )
        await uow.rollback()
        return {row["external_id"]: row["written"] for row in rows}

    before = await versions()
    done = await connected.run("import_products", is_full=True)
    assert (done["counters"]["unchanged"], done["counters"].get("changed", 0)) == (10, 0)
    assert await versions() == before
    put_products(fake, 6)
    done = await connected.run("import_products", is_full=True)
    assert (done["counters"]["unchanged"], done["counters"]["new"]) == (10, 2)
    after = await versions()
    assert {name: after[name] for name in before} == before


async def kept_together(connected: Connected, entity: str) -> dict[str, tuple[bool, str | None, bool]]:
    """Of records by their ids: whether no transaction wrote them after the one that made their change, how that waits,
    and whether what it is here is to be compared with them.
    """
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    rows = await uow.fetch(
        "SELECT l.external_id, l.analysed = l.digest AND l.xmin::text = coalesce(c.xmin::text, l.xmin::text),"
        " c.state, l.marks > 0 FROM listings l LEFT JOIN changes c ON c.listing_id = l.id"
        " AND c.kind = 'insert' AND c.is_open WHERE l.connection_id = $1 AND l.entity = $2",
        UUID(connected.id),
        entity,
    )
    await uow.rollback()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


@pytest.mark.parametrize(("absorbs", "state"), [(True, "queued"), (False, "review")])
async def test_what_is_new_is_written_once(connected: Connected, fake: CustomShop, absorbs: bool, state: str) -> None:
    """A page keeps new records together with what becomes of them, and nothing looks at them again."""
    await configure(connected, absorb_products=absorbs)
    put_products(fake, 2)
    fake.put_stock("SCARF-1", "main", 5)
    done = await connected.run("import_products")
    assert (done["counters"]["new"], done["counters"]["scanned"]) == (4, 2)
    assert await kept_together(connected, "product") == {"1": (True, state, False), "2": (True, state, False)}
    assert set((await kept_together(connected, "variant")).values()) == {(True, state, False)}


async def test_new_stock_is_acknowledged_as_it_comes(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    fake.put_stock("SCARF-1", "main", 5)
    await connected.run("import_products")
    await connected.run("check_stock")
    assert await kept_together(connected, "stock") == {"main/SCARF-1": (True, None, True)}
    (listing,) = (await connected.get(f"/v1/listings?entity=stock&connection_id={connected.id}"))["items"]
    assert listing["acknowledged"] == listing["remote"]


async def test_the_next_page_is_asked_for_while_one_is_kept(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_products(fake, 7)
    fake.page_size = 3
    store, pages = listings.store, 0

    async def following_was_asked() -> bool:
        return len([each for each in fake.requests if each.startswith("GET /products")]) > pages

    async def storing(*arguments: Any, **named: Any) -> listings.Stored:
        nonlocal pages
        pages += 1
        if pages < 3:
            await until(following_was_asked)
        return await store(*arguments, **named)

    monkeypatch.setattr(listings, "store", storing)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["scanned"], pages) == ("succeeded", 7, 3)
    assert await eventually(lambda: is_kept(connected, 14))


async def is_kept(connected: Connected, count: int) -> bool:
    items = (await connected.get(f"/v1/listings?connection_id={connected.id}&first=200"))["items"]
    return len(items) == count


async def test_a_page_that_was_asked_for_ahead_and_failed_is_asked_for_again(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 9)
    fake.page_size = 3

    class Third(list[str]):
        """The third request for products finds the shop away."""

        def append(self, request: str) -> None:
            super().append(request)
            if len([each for each in self if each.startswith("GET /products")]) == 2 and not fake.faults.away:
                fake.faults.away = 1

    fake.requests = Third(fake.requests)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["scanned"], done["counters"]["new"]) == ("succeeded", 9, 18)
    assert "attempt 1" in done["log"][0]
