"""Products go out where their fields are ours: only what is different, each once, and conflicts ask a person."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.sync.platforms.base import Outcome, Written
from services.sync.platforms.custom.platform import CustomSession
from services.sync.use_cases import sending
from services.sync.use_cases.outgoing_price import outgoing_price
from shared.contracts.sync.shapes import PriceRule
from shared.money import Money
from tests.doors import eventually
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product
from tests.services.sync.test_orders_and_stock import set_up, try_again_now

pytestmark = pytest.mark.feature("SYN-5", "SYN-6", "SYN-7")


async def rule(connected: Connected, **fields: Any) -> None:
    """Say whose fields are; names have `__` for a dot."""
    now = await connected.get(f"/v1/connections/{connected.id}")
    rules = {name.replace("__", "."): said for name, said in fields.items()}
    settings = {**now["settings"], "fields": rules}
    changed = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": settings}, headers=connected.headers
    )
    assert changed.status_code == 200, changed.text


async def edit(connected: Connected, slug: str, **change: Any) -> None:
    """Change a product here, and wait until sync has heard of it."""
    ours = (await connected.products())[slug]
    answer = await connected.client.patch(f"/v1/products/{ours['id']}", json=change, headers=connected.headers)
    assert answer.status_code == 200, answer.text

    async def is_heard() -> bool:
        uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
        marks = await uow.fetchval(
            "SELECT marks FROM listings WHERE product_id = $1 AND entity = 'product'", ours["id"]
        )
        await uow.rollback()
        return bool(marks)

    await eventually(is_heard, 30)


async def live(connected: Connected, fake: CustomShop, **rules: Any) -> None:
    await set_up(connected, fake)
    await rule(connected, **rules)
    await connected.run("update_products")
    await connected.go_live()
    await connected.run("export_products")
    fake.writes.clear()


async def test_a_field_that_is_ours_is_written_once_and_nothing_else_of_the_product(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake, title={"policy": "ours"})
    before, variants = fake.product("1")
    await edit(connected, "scarf-1", title="Shawl", description_html="<p>Ours</p>")
    await edit(connected, "scarf-1", title="Warm shawl")

    done = await connected.run("export_products")

    assert done["counters"]["sent"] == 1, await connected.issues()
    assert fake.product("1") == (before | {"title": "Warm shawl"}, variants)
    assert len(fake.writes) == 1
    assert (await connected.run("export_products"))["counters"].get("sent", 0) == 0
    echo = await connected.run("update_products")
    assert echo["counters"].get("applied", 0) == 0
    assert await connected.changes(state="queued") == []


async def test_a_field_that_is_ours_is_put_right_when_it_drifts_there(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, title={"policy": "ours"})
    _, fields, variants = product(1, title="Changed over there")
    fake.put_product("1", fields, variants)
    await connected.run("update_products")
    assert (await connected.products())["scarf-1"]["title"] == "Scarf 1"
    await connected.run("export_products")
    assert fake.product("1")[0]["title"] == "Scarf 1"
    assert [write.has_changed for write in fake.writes] == [True]


async def test_what_is_ignored_and_what_is_to_be_looked_at(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, brand={"policy": "ignore"}, title={"policy": "review"})
    _, fields, variants = product(1, title="New title", brand="New brand", product_type="Shawls")
    fake.put_product("1", fields, variants)
    await connected.run("update_products")
    ours = (await connected.products())["scarf-1"]
    assert (ours["title"], ours["brand"], ours["product_type"]) == ("Scarf 1", "Skerry", "Shawls")
    (change,) = await connected.changes(state="review")
    assert (change["field"], change["before"], change["after"]) == ("title", "Scarf 1", "New title")

    decided = await connected.post("/v1/changes/approve", {"change_ids": [change["id"]]})
    assert decided == {"decided": 1}
    await connected.run("update_products")
    assert (await connected.products())["scarf-1"]["title"] == "New title"


@pytest.mark.parametrize("winner", ["theirs", "ours"])
async def test_when_both_sides_changed_a_person_decides(connected: Connected, fake: CustomShop, winner: str) -> None:
    await live(connected, fake, title={"policy": "both"})
    await edit(connected, "scarf-1", title="Ours")
    _, fields, variants = product(1, title="Theirs")
    fake.put_product("1", fields, variants)
    await connected.run("update_products")
    await connected.run("export_products")
    waiting = {each["direction"]: each for each in await connected.changes(state="conflict")}
    assert {name: each["after"] for name, each in waiting.items()} == {"in": "Theirs", "out": "Ours"}
    assert ((await connected.products())["scarf-1"]["title"], fake.product("1")[0]["title"]) == ("Ours", "Theirs")

    both = {"change_ids": [each["id"] for each in waiting.values()]}
    refused = await connected.client.post("/v1/changes/approve", json=both, headers=connected.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "both_sides_chosen")
    chosen = waiting["in" if winner == "theirs" else "out"]
    await connected.post("/v1/changes/approve", {"change_ids": [chosen["id"]]})
    await connected.run("update_products")
    await connected.run("export_products")

    word = winner.title()
    assert ((await connected.products())["scarf-1"]["title"], fake.product("1")[0]["title"]) == (word, word)
    assert await connected.changes(state="conflict") == []
    assert len([write for write in fake.writes if write.has_changed]) == (winner == "ours")


async def test_prices_go_out_by_the_connections_rule(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, variant__price={"policy": "ours"})
    now = await connected.get(f"/v1/connections/{connected.id}")
    settings = {**now["settings"], "price": {"margin_percent": "10", "ending": 99}}
    await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": settings}, headers=connected.headers
    )
    await edit(connected, "scarf-1", title="So that it is looked at")
    await connected.run("export_products")
    assert fake.product("1")[1]["10"]["price"] == {"amount": 2199, "currency": "EUR"}
    assert fake.product("1")[0]["title"] == "Scarf 1"


@pytest.mark.parametrize(
    ("amount", "rule", "expected"),
    [
        (1999, {}, (1999, "EUR")),
        (1999, {"margin_percent": "10"}, (2199, "EUR")),
        (1702, {"ending": 99}, (1799, "EUR")),
        (1799, {"ending": 99}, (1799, "EUR")),
        (1000, {"currency": "JPY", "rate": "160.5"}, (1605, "JPY")),
        (1000, {"currency": "KWD", "rate": "0.3"}, (3000, "KWD")),
        (5, {"margin_percent": "-50"}, (3, "EUR")),
        (0, {"ending": 99}, (0, "EUR")),
    ],
)
def test_what_a_price_becomes(amount: int, rule: dict[str, Any], expected: tuple[int, str]) -> None:
    made = outgoing_price(Money(amount=amount, currency="EUR"), PriceRule(**rule))
    assert (made.amount, made.currency) == expected


async def test_a_variant_that_joins_one_whose_answer_was_lost_is_written_too(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake, variant__price={"policy": "ours"})
    _, fields, variants = product(5, options=["Size"])
    both = {each: variants["50"] | {"sku": each, "barcode": None, "options": {"Size": each}} for each in ("A", "B")}
    fake.put_product("5", fields, both)
    await connected.run("import_products")

    async def price(sku: str) -> None:
        await connected.post("/v1/prices/bulk", [{"shop": "main", "sku": sku, "price": 2500}])
        await connected.heard_all()

    await price("A")
    fake.faults.lost = 1
    await connected.run("export_products")
    await price("B")
    await try_again_now(connected)
    await connected.run("export_products")

    assert [each["price"]["amount"] for each in fake.product("5")[1].values()] == [2500, 2500]


@pytest.mark.feature("SYN-8")
async def test_a_run_that_would_empty_or_deactivate_much_asks_first(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 8)
    for number in range(1, 7):
        _, fields, variants = product(number, status="archived", description_html="")
        fake.put_product(str(number), fields, variants)

    done = await connected.run("update_products")

    assert {each["status"] for each in (await connected.products()).values()} == {"active"}, done
    assert "too_many_emptied" in {each["code"] for each in await connected.issues()}
    waiting = await connected.changes(state="review")
    assert {each["field"] for each in waiting} == {"status", "description_html"}
    await connected.post("/v1/changes/approve", {"change_ids": [each["id"] for each in waiting]})
    await connected.run("update_products")
    statuses = [each["status"] for each in (await connected.products()).values()]
    assert sorted(statuses) == ["active"] * 2 + ["archived"] * 6


@pytest.mark.feature("SYN-7", "SYN-12")
async def test_what_a_platform_made_of_a_value_is_not_written_again_and_again(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake, title={"policy": "ours"})
    fake.shortens = 10
    await edit(connected, "scarf-1", title="A very long title indeed")
    await connected.run("export_products")
    assert fake.product("1")[0]["title"] == "A very lon"
    written = len(fake.writes)
    await edit(connected, "scarf-1", description_html="<p>Something else</p>")
    await connected.run("export_products")
    await connected.run("update_products")
    await connected.run("export_products")
    assert len(fake.writes) == written
    assert (await connected.products())["scarf-1"]["title"] == "A very long title indeed"

    _, fields, variants = product(1, title="Drifted")
    fake.put_product("1", fields, variants)
    await connected.run("update_products")
    await connected.run("export_products")
    assert fake.product("1")[0]["title"] == "A very lon"


async def test_what_changed_there_before_our_write_arrived_is_a_conflict_and_the_rest_comes_in(
    connected: Connected, fake: CustomShop
) -> None:
    await live(connected, fake, title={"policy": "both"})
    await edit(connected, "scarf-1", title="Ours")
    _, fields, variants = product(1, title="Theirs", product_type="Shawls")
    fake.put_product("1", fields, variants)

    done = await connected.run("export_products")

    assert done["counters"]["stale"] == 1, done
    assert fake.product("1")[0]["title"] == "Theirs"
    waiting = {each["direction"]: each["after"] for each in await connected.changes(state="conflict")}
    assert waiting == {"in": "Theirs", "out": "Ours"}
    await connected.run("update_products")
    assert (await connected.products())["scarf-1"]["product_type"] == "Shawls"


async def test_a_price_that_is_ours_is_put_right_when_it_drifts_there(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, variant__price={"policy": "ours"})
    _, fields, variants = product(1)
    variants["10"]["price"] = {"amount": 1, "currency": "EUR"}
    fake.put_product("1", fields, variants)
    await connected.run("update_products")
    await connected.run("export_products")
    assert fake.product("1")[1]["10"]["price"] == {"amount": 1999, "currency": "EUR"}


async def test_other_rules_are_followed_by_what_is_there_already(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, variant__price={"policy": "ours"})
    now = await connected.get(f"/v1/connections/{connected.id}")
    settings = {**now["settings"], "price": {"margin_percent": "100"}}
    fake.faults.away = 5  # what is not the platform's own is changed without asking it
    changed = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": settings}, headers=connected.headers
    )
    assert changed.status_code == 200, changed.text
    fake.faults.away = 0
    await connected.run("export_products")
    assert {fake.product(number)[1][f"{number}0"]["price"]["amount"] for number in "12"} == {3998}


async def test_going_back_to_what_we_once_wrote_is_a_change(connected: Connected, fake: CustomShop) -> None:
    await live(connected, fake, title={"policy": "both"})
    await edit(connected, "scarf-1", title="A")
    await connected.run("export_products")
    for title in ("B", "A"):
        _, fields, variants = product(1, title=title)
        fake.put_product("1", fields, variants)
        await connected.run("update_products")
        assert (await connected.products())["scarf-1"]["title"] == title


@pytest.mark.feature("SYN-8")
async def test_what_was_gone_and_comes_back_is_looked_at_again(connected: Connected, fake: CustomShop) -> None:
    await set_up(connected, fake, 6)
    kept = fake.product("6")
    fake.remove_product("6")
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    await connected.run("update_products")
    fake.put_product("6", kept[0] | {"title": "Back again"}, kept[1])
    await connected.run("update_products")
    assert (await connected.products())["scarf-6"]["title"] == "Back again"


@pytest.mark.feature("SYN-11")
@pytest.mark.parametrize("outcome", ["retry", "stale"])
async def test_what_is_tried_in_vain_ends_and_a_person_is_told(
    connected: Connected, fake: CustomShop, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_ATTEMPTS", 2)
    await live(connected, fake, title={"policy": "ours"})
    await edit(connected, "scarf-1", title="Ours")

    async def in_vain(_session: CustomSession, writes: Sequence[Any]) -> list[Written]:
        return [Written(outcome, "The platform is not in the mood.") for _ in writes]

    monkeypatch.setattr(CustomSession, "write_products", in_vain)
    for _ in range(2):
        await try_again_now(connected)
        await connected.run("export_products")
    (failed,) = await connected.changes(direction="out", state="failed")
    assert failed["field"] == "title"
    (issue,) = [each for each in await connected.issues() if each["feed"] == "export_products"]
    assert (issue["issue_class"], issue["remote_message"]) == ("error", "The platform is not in the mood.")
