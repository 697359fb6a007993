"""Failed records alone are tried again: exactly those of one run, and nothing is read or compared for it."""

from typing import Any

import pytest

from services.sync.use_cases.taking import stock
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products
from tests.services.sync.test_orders_and_stock import adjust, set_up

pytestmark = pytest.mark.feature("SYN-10")


async def rerun(connected: Connected, execution_id: str) -> dict[str, Any]:
    path = f"/v1/feed-executions/{execution_id}/rerun"
    started = await connected.post(path, {"only_failed": True}, status=202)
    assert (started["rerun_of"], started["trigger"]) == (execution_id, "rerun")
    return await connected.ended(started["id"])


def doubtful(number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A product whose two SKUs belong to two products here."""
    id_, fields, variants = product(number, options=["Size"])
    (one,) = variants.values()
    return (
        id_,
        fields,
        {
            f"{number}{size}": one | {"sku": f"{size}-{number}", "barcode": "", "options": {"Size": size}}
            for size in "SM"
        },
    )


async def sold_apart(connected: Connected, number: int) -> str:
    """Both SKUs are here, of one product each. Returns the other one."""
    made = [
        await connected.post(
            "/v1/products", {"title": f"{size} {number}", "variants": [{"sku": f"{size}-{number}"}]}, status=201
        )
        for size in "SM"
    ]
    return str(made[1]["id"])


async def give_up(connected: Connected, product_id: str, number: int) -> None:
    """The product here has another SKU from now on."""
    body = {"variants": [{"sku": f"L-{number}"}], "remove_skus": [f"M-{number}"]}
    answer = await connected.client.patch(f"/v1/products/{product_id}", json=body, headers=connected.headers)
    assert answer.status_code == 200, answer.text


async def outcomes(connected: Connected) -> dict[str, bool]:
    """Which records of products are linked."""
    items = (await connected.get(f"/v1/listings?connection_id={connected.id}&entity=product"))["items"]
    return {each["external_id"]: each["product_id"] is not None for each in items}


async def test_what_failed_to_come_in_with_one_run_is_tried_again_alone(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 1)
    await connected.confirm_matches()
    others = {number: await sold_apart(connected, number) for number in (3, 4, 5)}
    fake.put_product(*doubtful(3))
    first = await connected.run("import_products")
    # The product, and its variants.
    assert (first["state"], first["counters"]["failed"]) == ("partial", 3), first
    fake.put_product(*doubtful(4))
    second = await connected.run("import_products")
    assert second["counters"]["failed"] == 3, second
    # One that waits to be taken is none that has failed; nor is what nobody has seen.
    fake.put_product(*doubtful(5))
    third = await connected.run("import_products")
    fifth = [each["id"] for each in await connected.changes(state="failed") if each["external_id"][0] == "5"]
    await connected.post("/v1/changes/approve", {"change_ids": fifth})
    fake.put_product(*product(6))
    asked = len(fake.requests)

    again = await rerun(connected, first["id"])

    assert (again["state"], again["counters"]) == ("partial", {"failed": 3, "applied": 0, "linked": 0}), again
    for number, other in others.items():
        await give_up(connected, other, number)
    # What failed once more in a run that tried it again is that run's, and still the first one's.
    again = await rerun(connected, first["id"])
    assert again["counters"]["linked"] == 2, again
    assert await outcomes(connected) == {"1": True, "3": True, "4": False, "5": False}
    assert {each["external_id"][0] for each in await connected.changes(state="failed")} == {"4"}
    assert len(fake.requests) == asked
    assert (await rerun(connected, first["id"]))["counters"] == {}
    assert (await rerun(connected, third["id"]))["counters"] == {}
    await rerun(connected, second["id"])
    assert (await outcomes(connected))["4"]


async def test_what_a_platform_refused_of_one_run_is_sent_again_alone(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake)
    await connected.go_live()
    runs = []
    for number in (1, 2):
        kept = fake.kept["stock"]
        name = next(key for key, record in kept.items() if record.body["sku"] == f"SCARF-{number}")
        record = kept.pop(name)
        await adjust(connected, f"SCARF-{number}", -number)
        runs.append(await connected.run("export_stock"))
        assert runs[-1]["counters"]["failed"] == 1, runs[-1]
        kept[name] = record
    fake.writes.clear()

    done = await rerun(connected, runs[0]["id"])

    assert (done["state"], done["counters"]["sent"]) == ("succeeded", 1), done
    assert (fake.stock("SCARF-1", "main"), fake.stock("SCARF-2", "main")) == (9, 10)
    assert [write.has_changed for write in fake.writes] == [True]
    await rerun(connected, runs[1]["id"])
    assert fake.stock("SCARF-2", "main") == 8


async def test_of_stock_that_was_not_imported_the_rows_that_failed_are(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of a place that was taken up portions before."""
    monkeypatch.setattr(stock, "_ROWS_AT_ONCE", 1)
    await set_up(connected, fake)
    fake.places.append({"id": "attic", "name": "Attic"})
    for sku in ("SCARF-1", "SCARF-2"):
        fake.put_stock(sku, "attic", 5)
    done = await connected.run("import_stock", reason="Counted")
    assert done["counters"]["failed"] == 2
    path = f"/v1/connections/{connected.id}"
    await connected.post(f"{path}/test")
    locations = {"locations": {"main": "quay", "attic": "main"}}
    changed = await connected.client.patch(path, json={"settings": locations}, headers=connected.headers)
    assert changed.status_code == 200, changed.text
    again = await rerun(connected, done["id"])
    assert (again["state"], again["counters"]) == ("succeeded", {"applied": 2, "failed": 0}), again
    issues = (await connected.get(f"/v1/issues?connection_id={connected.id}"))["items"]
    assert [each["code"] for each in issues if each["resolved_at"] is None] == []
