"""Suppliers of a platform come in; its stock is checked against ours, and a person applies the rows he chooses."""

from typing import Any

import pytest

from services.sync.models import FEEDS
from services.sync.tasks import WORKS
from services.sync.use_cases.executing import Run
from services.sync.use_cases.taking import suppliers
from shared.identifiers import new_id
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.services.sync.test_orders_and_stock import set_up

pytestmark = pytest.mark.feature("SYN-2")


def test_every_feed_has_its_work() -> None:
    assert set(WORKS) == set(FEEDS)


async def test_suppliers_and_what_they_supply_come_in_once(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    fake.put_supplier("s1", {"name": "Skerry Looms", "email": "looms@example.com", "phone": None})
    fake.put_supplier_link("s1/SCARF-1", link("SCARF-1"))
    fake.put_supplier_link("s1/NO-SUCH", link("NO-SUCH") | {"supplier": "nobody"})

    taken = await connected.run("import_suppliers")
    links = await connected.run("import_supplier_links")

    assert (taken["state"], taken["counters"]["applied"]) == ("succeeded", 1), await connected.issues()
    (ours,) = (await connected.get("/v1/suppliers"))["items"]
    assert (ours["code"], ours["name"]) == ("s1", "Skerry Looms")
    assert (links["state"], links["counters"]["applied"], links["counters"]["failed"]) == ("partial", 1, 1)
    (supplied,) = (await connected.get("/v1/supplier-links"))["items"]
    assert (supplied["sku"], supplied["supplier_sku"]) == ("SCARF-1", "SK-9")
    assert {each["subject"] for each in await connected.issues() if each["issue_class"] == "error"} == {"s1/NO-SUCH"}
    assert (await connected.run("import_suppliers"))["counters"].get("applied", 0) == 0


@pytest.mark.feature("SYN-10")
async def test_what_is_queued_while_a_file_is_taken_is_not_taken_for_a_part_of_it(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run dies when its file was imported and before that was kept; then another supplier is queued."""
    fake.put_supplier("s1", {"name": "Skerry Looms", "email": None, "phone": None})
    settle, tries = suppliers._settle, 0

    async def dying(run: Run, *rest: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await queue_another(connected)
            await run.job.rest(0)
        await settle(run, *rest)

    monkeypatch.setattr(suppliers, "_settle", dying)
    done = await connected.run("import_suppliers")

    assert (done["state"], done["counters"]["applied"]) == ("succeeded", 2), await connected.issues()
    assert {each["code"] for each in (await connected.get("/v1/suppliers"))["items"]} == {"s1", "s2"}


async def queue_another(connected: Connected) -> None:
    """A supplier s2, as it would be after another scan."""
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    listing_id = new_id()
    await uow.execute(
        "INSERT INTO listings (organization_id, id, connection_id, entity, external_id, remote, digest, analysed)"
        " SELECT organization_id, $1, connection_id, entity, 's2', remote, digest, digest FROM listings"
        " WHERE entity = 'supplier'",
        listing_id,
    )
    await uow.execute(
        "INSERT INTO changes (organization_id, id, connection_id, listing_id, entity, direction, kind, field, state)"
        " SELECT organization_id, $1, connection_id, $2, entity, direction, kind, field, state FROM changes"
        " WHERE entity = 'supplier'",
        new_id(),
        listing_id,
    )
    await uow.commit()


def link(sku: str) -> dict[str, Any]:
    return {"sku": sku, "supplier": "s1", "vendor_sku": "SK-9", "cost": {"amount": 700, "currency": "EUR"}}


@pytest.mark.feature("INV-7")
async def test_a_check_reports_both_figures_and_writes_what_a_person_chose(
    connected: Connected, fake: CustomShop
) -> None:
    await set_up(connected, fake, 3)
    await connected.go_live()
    fake.silent_stock = True  # its clock tells nothing
    fake.put_stock("SCARF-1", "main", 4)
    fake.put_stock("SCARF-2", "main", 99)

    done = await connected.run("check_stock")

    assert (done["state"], done["counters"]["compared"], done["counters"]["different"]) == ("succeeded", 3, 2)
    found = {each["sku"]: each for each in await connected.changes(state="review", direction="out")}
    assert {sku: (each["before"], each["after"], each["reason"]) for sku, each in found.items()} == {
        "SCARF-1": (4, 10, "stock_check"),
        "SCARF-2": (99, 10, "stock_check"),
    }
    await connected.run("export_stock")
    assert fake.writes == []

    await connected.post("/v1/changes/approve", {"change_ids": [found["SCARF-2"]["id"]]})
    await connected.post("/v1/changes/cancel", {"change_ids": [found["SCARF-1"]["id"]]})
    await connected.run("export_stock")

    assert (fake.stock("SCARF-1", "main"), fake.stock("SCARF-2", "main")) == (4, 10)
    assert len(fake.writes) == 1
