"""Products of a platform come in: previewed, created or linked, changed field by field, and nothing twice."""

import pytest

from services.sync.use_cases.taking import products
from shared.identifiers import new_id
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import product, put_products
from tests.services.sync.test_rerunning import doubtful, give_up, outcomes, sold_apart

pytestmark = pytest.mark.feature("SYN-1", "SYN-2", "SYN-4", "SYN-6")


async def test_products_come_in_once_the_preview_was_confirmed(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 7)
    first = await connected.run("import_products")
    assert (first["state"], first["counters"]["scanned"], first["counters"]["new"]) == ("succeeded", 7, 14), first
    assert await connected.products() == {}
    preview = await connected.get(f"/v1/connections/{connected.id}/matches")
    assert preview["counts"] == {"create": 7, "link": 0, "ambiguous": 0, "linked": 0}
    await connected.confirm_matches()

    second = await connected.run("import_products")

    assert (second["state"], second["counters"].get("applied")) == ("succeeded", 7), await connected.issues()
    products = await connected.products()
    assert sorted(products) == [f"scarf-{number}" for number in range(1, 8)]
    assert products["scarf-1"]["variants"][0]["sku"] == "SCARF-1"
    assert products["scarf-1"]["tags"] == ["warm", "winter"]
    assert await connected.changes(state="queued") == []
    third = await connected.run("import_products")
    assert third["counters"].get("applied", 0) == 0


async def test_a_field_that_changed_there_changes_here_and_no_other(connected: Connected, fake: CustomShop) -> None:
    put_products(fake, 3)
    await connected.confirm_matches()
    await connected.run("import_products")
    _, fields, variants = product(2, title="Shawl", brand="")
    variants["20"]["price"] = {"amount": 2500, "currency": "EUR"}
    fake.put_product("2", fields, variants)
    before = await connected.products()

    done = await connected.run("update_products")

    assert done["state"] == "succeeded", (done, await connected.issues())
    after = await connected.products()
    assert (after["scarf-2"]["title"], after["scarf-2"]["brand"]) == ("Shawl", None)
    assert after["scarf-1"] == before["scarf-1"]
    assert after["scarf-2"]["variants"][0]["barcode"] == before["scarf-2"]["variants"][0]["barcode"]
    priced = await connected.get("/v1/prices/resolve?shop=main&sku=SCARF-2")
    assert priced["price"] == {"amount": 2500, "currency": "EUR"}, priced
    assert (await connected.run("update_products"))["counters"].get("applied", 0) == 0


async def test_a_product_that_is_here_is_linked_by_its_sku_and_not_created(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 2)
    draft = {"title": "Our scarf", "slug": "our-scarf", "variants": [{"sku": "SCARF-1"}]}
    ours = await connected.post("/v1/products", draft, status=201)
    await connected.run("import_products")
    preview = await connected.get(f"/v1/connections/{connected.id}/matches")
    assert {each["external_id"]: (each["outcome"], each["product_ids"], each["by"]) for each in preview["items"]} == {
        "1": ("link", [ours["id"]], "sku"),
        "2": ("create", [], None),
    }
    await connected.confirm_matches()

    done = await connected.run("import_products")

    assert (done["state"], done["counters"]["linked"], done["counters"]["applied"]) == ("succeeded", 2, 1), done
    assert sorted(await connected.products()) == ["our-scarf", "scarf-2"]
    listings = (await connected.get(f"/v1/listings?product_id={ours['id']}"))["items"]
    assert {each["external_id"] for each in listings} == {"1", "10"}
    # The platform's products are its own until somebody says otherwise: what it says of them is taken over.
    updated = await connected.run("update_products")
    assert (updated["state"], await connected.issues()) == ("succeeded", [])
    assert (await connected.products())["our-scarf"]["title"] == "Scarf 1"


@pytest.mark.feature("SYN-11")
async def test_a_product_that_could_be_two_of_ours_waits_for_a_person(connected: Connected, fake: CustomShop) -> None:
    for sku in ("RED", "BLUE"):
        own = [{"sku": sku, "options": {"Colour": sku}}]
        await connected.post("/v1/products", {"title": sku, "options": ["Colour"], "variants": own}, status=201)
    _, fields, _ = product(1, options=["Colour"])
    sold = {"10": {"sku": "RED", "options": {"Colour": "RED"}}, "11": {"sku": "BLUE", "options": {"Colour": "BLUE"}}}
    fake.put_product("1", fields, sold)
    await connected.confirm_matches()

    done = await connected.run("import_products")

    assert done["state"] == "partial"
    (issue,) = await connected.issues()
    assert (issue["issue_class"], issue["code"], issue["setting"]) == ("error", "ambiguous_match", "match_by")
    assert len(await connected.products()) == 2
    patterns = await connected.get(f"/v1/issue-patterns?connection_id={connected.id}")
    assert (patterns["counts"]["error"], patterns["items"][0]["count"]) == (1, 1)
    assert "SKUs" in patterns["items"][0]["fix"]

    # Where it is one of ours alone, it is that one, and nobody has to say so.
    assert (await connected.run("import_products"))["counters"].get("linked", 0) == 0
    blue = next(each for each in (await connected.products()).values() if each["title"] == "BLUE")
    await edit_skus(connected, blue["id"], "BLUE", "SKY", Colour="SKY")
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["linked"]) == ("succeeded", 2), done
    await connected.run("import_products")
    assert await connected.issues() == []
    red = next(each for each in (await connected.products()).values() if each["title"] == "RED")
    assert {each["sku"] for each in red["variants"]} == {"RED", "BLUE"}


@pytest.mark.feature("SYN-11")
async def test_products_that_stay_doubtful_hold_up_no_others(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "_RECORDS_AT_ONCE", 1)
    others = {number: await sold_apart(connected, number) for number in (3, 4, 5)}
    for number in others:
        fake.put_product(*doubtful(number))
    await connected.confirm_matches()
    await connected.run("import_products")
    assert len(await connected.issues()) == 3
    await give_up(connected, others[4], 4)
    await connected.run("import_products")
    await connected.run("import_products")
    assert await outcomes(connected) == {"3": False, "4": True, "5": False}
    doubts = [each["subject"] for each in await connected.issues() if each["code"] == "ambiguous_match"]
    assert sorted(doubts) == ["3", "5"]


async def edit_skus(connected: Connected, product_id: str, before: str, after: str, **options: str) -> None:
    body = {"variants": [{"sku": after, "options": options}], "remove_skus": [before]}
    answer = await connected.client.patch(f"/v1/products/{product_id}", json=body, headers=connected.headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.feature("SYN-11")
@pytest.mark.parametrize("is_another", [False, True])
async def test_a_sku_that_changed_there_is_taken_once_it_changed_here_as_well(
    connected: Connected, fake: CustomShop, is_another: bool
) -> None:
    put_products(fake, 1)
    await connected.confirm_matches()
    await connected.run("import_products")
    ours = (await connected.products())["scarf-1"]
    number, fields, variants = product(1)
    variants["10"]["sku"] = "SHAWL-1"
    fake.put_product(number, fields, variants)
    assert (await connected.run("update_products"))["state"] == "partial"
    assert [each["code"] for each in await connected.issues()] == ["sku_changed"]
    if is_another:
        # The product has both: nobody can say that the one has become the other.
        both = [{"sku": sku, "options": {"Size": sku}} for sku in ("SCARF-1", "SHAWL-1")]
        body = {"options": ["Size"], "variants": both}
        answer = await connected.client.patch(f"/v1/products/{ours['id']}", json=body, headers=connected.headers)
        assert answer.status_code == 200, answer.text
    else:
        await edit_skus(connected, ours["id"], "SCARF-1", "SHAWL-1")

    pattern = {"connection_id": connected.id, "feed": "update_products", "code": "sku_changed"}
    assert await connected.post("/v1/issue-patterns/retry", pattern) == {"decided": 1}
    done = await connected.run("update_products")

    assert done["state"] == ("partial" if is_another else "succeeded"), done
    assert [each["code"] for each in await connected.issues()] == (["sku_changed"] if is_another else [])
    assert len(await connected.changes(state="failed")) == is_another


@pytest.mark.feature("SYN-11")
async def test_what_the_catalog_refuses_fails_with_its_words_and_can_be_tried_again(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 2)
    number, fields, variants = product(3, title="")
    fake.put_product(number, fields, variants)
    await connected.confirm_matches()
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["applied"], done["counters"]["failed"]) == ("partial", 2, 1)
    (issue,) = [each for each in await connected.issues() if each["issue_class"] == "error"]
    assert issue["listing_id"], issue
    assert sorted(await connected.products()) == ["scarf-1", "scarf-2"]

    fake.put_product(*product(3, title="Mended"))
    again = await connected.post(f"/v1/feed-executions/{done['id']}/rerun", {"only_failed": True}, status=202)
    assert (await connected.ended(again["id"]))["state"] == "partial"
    await connected.run("import_products")

    assert "scarf-3" in await connected.products()
    assert [each for each in await connected.issues() if each["issue_class"] == "error"] == []


@pytest.mark.feature("SYN-8")
async def test_what_vanished_leaves_only_after_a_reset_and_never_all_at_once(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 6)
    await connected.confirm_matches()
    await connected.run("import_products")
    fake.remove_product("6")
    await connected.run("import_products")
    await connected.run("import_products", is_full=True)
    assert len((await connected.get(f"/v1/listings?connection_id={connected.id}&entity=product"))["items"]) == 6
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})

    done = await connected.run("import_products")

    assert done["counters"]["gone"] == 2, done
    listings = (await connected.get(f"/v1/listings?connection_id={connected.id}&entity=product"))["items"]
    assert [each["external_id"] for each in listings if each["gone_at"]] == ["6"]
    assert "scarf-6" in await connected.products()

    for number in "12345":
        fake.remove_product(number)
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    done = await connected.run("import_products")
    assert done["counters"].get("gone", 0) == 0
    assert "too_many_gone" in {each["code"] for each in await connected.issues()}

    # An ordinary run that comes to its end says nothing of it; another reset scan that finds them again does.
    await connected.run("import_products")
    assert "too_many_gone" in {each["code"] for each in await connected.issues()}
    put_products(fake, 5)
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    await connected.run("import_products")
    assert "too_many_gone" not in {each["code"] for each in await connected.issues()}


@pytest.mark.feature("SYN-11")
async def test_what_changes_of_a_product_that_was_deleted_here_is_settled(
    connected: Connected, fake: CustomShop
) -> None:
    put_products(fake, 2)
    await connected.confirm_matches()
    await connected.run("import_products")
    uow = connected.process.surroundings.unit_of_work("sync", connected.inside("sync"))
    # Its product is none that the catalog has.
    await uow.execute("UPDATE listings SET product_id = $1 WHERE external_id = '2' AND entity = 'product'", new_id())
    await uow.commit()
    fake.put_product(*product(2, title="Shawl"))
    await connected.run("update_products")
    assert await connected.changes(state="queued", direction="in") == []
    (change,) = await connected.changes(state="cancelled", direction="in")
    assert (change["field"], change["reason"]) == ("title", "no_product")
    assert ("info", "no_product") in {(each["issue_class"], each["code"]) for each in await connected.issues()}


async def test_two_variants_of_one_sku_wait_for_a_person(connected: Connected, fake: CustomShop) -> None:
    _, fields, variants = product(1)
    fake.put_product("1", fields, variants | {"11": variants["10"] | {"price": {"amount": 5, "currency": "EUR"}}})
    await connected.confirm_matches()
    await connected.run("import_products")
    assert "duplicate_sku" in {each["code"] for each in await connected.issues()}
    assert await connected.products() == {}
