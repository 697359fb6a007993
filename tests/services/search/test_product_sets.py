"""Products by their words and sets, through both doors, fresh whatever changes them."""

from typing import Any

import httpx
import orjson
import pytest

from deploy import topology
from services.catalog.use_cases import exporting, finding
from shared.bus.envelope import Caller, service_envelope
from shared.contracts.catalog.messages import CreateProduct, PauseProduct, SetProductText
from shared.contracts.catalog.shapes import Image, Product, ProductDraft, ProductText, VariantDraft
from shared.contracts.inventory.messages import SetStockPolicy, UpdateStock
from shared.contracts.inventory.suppliers import (
    ChangeSupplierLink,
    CreateSupplier,
    CreateSupplierLink,
    RemoveSupplierLink,
    SupplierDraft,
    SupplierLinkChange,
    SupplierLinkDraft,
)
from shared.identifiers import new_id
from shared.money import Money
from tests.doors import caller_of, eventually
from tests.factories.search import Seller

pytestmark = pytest.mark.feature("SYN-13")
# Groups that are of all shops together.
_OF_ALL = ("stock", "supplier-links")


@pytest.fixture
async def shop(process: topology.Surrounded, client: Any) -> Seller:
    made = Seller(process, client)
    await made.open()
    return made


async def ask(seller: Seller, path: str = "products", *, caller: Caller | None = None, **parameters: Any) -> Any:
    assert seller.client is not None
    headers = seller.client.speaking_as(caller or seller.caller)
    answer = await seller.client.get(f"/v1/{path}", params=parameters, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finds(seller: Seller, titles: list[str], words: str | None = None, *sets: str, **parameters: Any) -> None:
    """Wait until these products are found, in this order, and counted so."""
    asked: dict[str, Any] = {"set": list(sets)} | ({} if words is None else {"q": words})

    async def look() -> bool:
        found = [product["title"] for product in (await ask(seller, **asked, **parameters))["items"]]
        assert found == titles, (words, sets, found)
        assert parameters or await ask(seller, "product-sets/count", **asked) == {"total": len(titles)}
        return True

    await eventually(look)


def a_variant(sku: str, size: str | None = None, colour: str | None = None, **fields: Any) -> VariantDraft:
    options = {name: value for name, value in (("Size", size), ("Farbe", colour)) if value}
    return VariantDraft(sku=sku, options=options, **fields)


async def stocked_shop(shop: Seller) -> tuple[Product, Product, Product]:
    category = await shop.category("Clothing")
    scarf = await shop.sell(
        "Wool scarf",
        category,
        variants=[
            a_variant("SC-S", "S", "Red", barcode="4006381333931", mpn="M-77"),
            a_variant("SC-L", "L", "Blue", barcode="5901234123457"),
        ],
        options=["Size", "Farbe"],
        brand="Northwind",
        tags=["winter", "gift idea"],
        product_type="Scarves",
        description_html="<p>Warm</p>",
        images=[Image(url="https://img.example/1.jpg")],
    )
    kettle = await shop.sell("Kettle", category, stock=0, brand="NORTHWIND")
    draft = ProductDraft(title="Unfinished mug", variants=[VariantDraft(sku="MUG")])
    mug = await shop.ask(CreateProduct(draft=draft))
    return scarf, kettle, mug


async def test_by_words_and_sets_that_intersect(shop: Seller) -> None:
    scarf, kettle, mug = await stocked_shop(shop)
    del scarf, mug
    every = ["Unfinished mug", "Kettle", "Wool scarf"]
    cases: list[tuple[list[str], str | None, list[str]]] = [
        (every, None, []),
        (["Wool scarf"], "scar", []),
        (["Wool scarf"], "sc-l", []),
        (["Wool scarf"], "4006381333931", []),
        (["Wool scarf"], "m-77", []),
        (["Wool scarf"], "gift northwind", []),
        (["Unfinished mug"], "mug", []),
        ([], "mug scarf", []),
        (["Kettle", "Wool scarf"], None, ["brand:northwind"]),
        (["Wool scarf"], None, ["brand:Northwind", "stock:in"]),
        (["Kettle", "Wool scarf"], "north", ["with:price"]),
        (["Unfinished mug", "Kettle"], None, ["without:image"]),
        (["Unfinished mug"], None, ["without:brand"]),
        (["Unfinished mug"], None, ["without:category"]),
        (["Unfinished mug"], None, ["without:price"]),
        (["Wool scarf"], None, ["with:barcode"]),
        # Of the scarf's variants one has no maker's number.
        (every, None, ["without:mpn"]),
        (["Wool scarf"], None, ["with:description", "with:tags", "with:product_type"]),
        (["Wool scarf"], None, ["size:l"]),
        (["Wool scarf"], None, ["colour:red", "size:L"]),
        ([], None, ["colour:green"]),
        (["Wool scarf"], None, ["tag:Gift idea", "type:scarves"]),
        (["Unfinished mug", "Kettle"], None, ["stock:out"]),
        (["Unfinished mug"], None, ["status:draft"]),
        (["Kettle", "Wool scarf"], None, ["status:active"]),
        ([], None, ["status:active", "without:brand"]),
    ]
    for titles, words, sets in cases:
        await finds(shop, titles, words, *sets)
    await finds(shop, ["Kettle"], "north", sku="KETTLE")
    await finds(shop, ["Kettle", "Wool scarf"], None, "with:brand", status="active")
    await finds(shop, ["Wool scarf"], "wool", category_id=str(kettle.category_ids[0]))


async def test_what_changes_is_found_as_it_is_now(shop: Seller) -> None:
    scarf, kettle, mug = await stocked_shop(shop)
    await finds(shop, ["Unfinished mug", "Kettle"], None, "stock:out")
    await shop.stock({"KETTLE": 3, "SC-S": 0, "SC-L": 0})
    await finds(shop, ["Unfinished mug", "Wool scarf"], None, "stock:out")
    await shop.ask(SetStockPolicy(sku="KETTLE", centre="main", policy="standard", warning_level=3))
    await finds(shop, ["Kettle"], None, "stock:low")
    await shop.stock({"KETTLE": 4})
    await finds(shop, [], None, "stock:low")
    await shop.price({"MUG": 500})
    await finds(shop, [], None, "without:price")
    await shop.change(mug, brand="Skerry", title="Finished mug")
    await finds(shop, ["Finished mug"], "finished", "brand:skerry")
    await finds(shop, [], "unfinished")
    await shop.ask(PauseProduct(product_id=kettle.id))
    await finds(shop, ["Kettle"], None, "status:paused")
    text = ProductText(locale="de", title="Wollschal")
    await shop.ask(SetProductText(product_id=scarf.id, text=text))
    await finds(shop, ["Wool scarf"], "wollsch")


async def test_prices_below_what_suppliers_take_and_none_at_all(shop: Seller) -> None:
    await stocked_shop(shop)
    await finds(shop, ["Unfinished mug"], None, "price:bad")
    await shop.price({"MUG": 0})
    await finds(shop, ["Unfinished mug"], None, "price:bad", "with:price")
    await shop.price({"MUG": 500})
    await finds(shop, [], None, "price:bad")
    await finds(shop, [], None, "price:low")
    for code in ("a", "b"):
        await shop.ask(CreateSupplier(supplier=SupplierDraft(code=code, name=code, currency="USD")))
    links = {}
    for code, sku, amount, currency in (
        ("a", "MUG", 501, "USD"),
        ("b", "MUG", 400, "USD"),
        ("a", "KETTLE", 10**6, "EUR"),
    ):
        draft = SupplierLinkDraft(supplier=code, sku=sku, cost=Money(amount=amount, currency=currency))
        links[code, sku] = await shop.ask(CreateSupplierLink(link=draft))
    # The cheaper one would do, until the other is the one to order from.
    await finds(shop, [], None, "price:low")
    primary = ChangeSupplierLink(link_id=links["a", "MUG"].id, change=SupplierLinkChange(is_primary=True))
    await shop.ask(primary)
    await finds(shop, ["Unfinished mug"], None, "price:low")
    (low,) = (await ask(shop, "product-sets", typed="below"))["sets"]
    assert low == {"set": "price:low", "count": 1, "label": "Priced below cost"}
    await shop.price({"MUG": 501})
    await finds(shop, [], None, "price:low")
    await shop.price({"MUG": 300})
    await finds(shop, ["Unfinished mug"], None, "price:low")
    for link in links.values():
        await shop.ask(RemoveSupplierLink(link_id=link.id))
    await finds(shop, [], None, "price:low")


async def test_sets_are_suggested_and_counted_while_typing(shop: Seller) -> None:
    await stocked_shop(shop)
    await finds(shop, ["Unfinished mug"], None, "without:brand")

    async def suggested(typed: str, **parameters: Any) -> dict[str, int]:
        answer = await ask(shop, "product-sets", typed=typed, **parameters)
        return {each["set"]: each["count"] for each in answer["sets"]}

    # However a brand is spelled, it is one.
    (brand,) = (await suggested("north")).items()
    assert (brand[0].casefold(), brand[1]) == ("brand:northwind", 2)
    assert await suggested("idea") == {"tag:gift idea": 1}
    assert await suggested("size:") == {"size:L": 1, "size:S": 1}
    assert await suggested("RE", set=["size:S"]) == {"colour:Red": 1}
    assert await suggested("without:im") == {"without:image": 2}
    assert await suggested("without:im", q="mug") == {"without:image": 1}
    assert await suggested("nothing like it") == {}
    assert len(await suggested("", first=3)) == 3
    counts = list((await suggested("")).values())
    assert counts == sorted(counts, reverse=True)
    assert shop.client is not None
    query = '{productSets(typed: "size:l") {sets {set count}} productSetCount(sets: ["with:brand"]) {total}'
    query += ' products(query: "mug", sets: ["without:image"]) {nodes {title}}}'
    answer = await shop.client.post("/graphql", json={"query": query}, headers=shop.client.speaking_as(shop.caller))
    assert answer.json()["data"] == {
        "productSets": {"sets": [{"set": "size:L", "count": 1}]},
        "productSetCount": {"total": 2},
        "products": {"nodes": [{"title": "Unfinished mug"}]},
    }


async def test_pages_follow_each_other_whatever_search_tells_at_once(
    shop: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "_FOUND_AT_ONCE", 2)
    drafts = [ProductDraft(title=f"Mug {n}", slug=f"mug-{n}", variants=[VariantDraft(sku=f"M-{n}")]) for n in range(9)]
    for draft in drafts:
        await shop.ask(CreateProduct(draft=draft))
    titles = [f"Mug {n}" for n in reversed(range(9))]
    await finds(shop, titles, "mug")
    for looks in (1, 5):
        monkeypatch.setattr(finding, "_MOST_LOOKS", looks)
        seen: list[str] = []
        after: dict[str, str] = {}
        for _ in range(20):
            answer = await ask(shop, q="mug", set="without:price", first=4, **after)
            seen += [product["title"] for product in answer["items"]]
            if answer["next"] is None:
                break
            after = {"after": answer["next"]}
        assert seen == titles, looks
        # A filter that search does not know, and that the first looks find nothing for.
        seen, after = [], {}
        for _ in range(20):
            answer = await ask(shop, q="mug", slug="mug-0", **after)
            seen += [product["title"] for product in answer["items"]]
            if answer["next"] is None:
                break
            after = {"after": answer["next"]}
        assert seen == ["Mug 0"], looks


async def test_nobody_finds_what_they_may_not_see(shop: Seller) -> None:
    await stocked_shop(shop)
    await finds(shop, ["Unfinished mug"], "mug")
    stranger = caller_of(new_id())
    assert (await ask(shop, caller=stranger, q="mug"))["items"] == []
    assert await ask(shop, "product-sets/count", caller=stranger) == {"total": 0}
    assert await ask(shop, "product-sets", caller=stranger) == {"sets": []}
    assert shop.client is not None
    other = shop.client.speaking_as(caller_of(shop.organization_id, "orders:read"))
    for path in ("products?q=mug", "product-sets", "product-sets/count"):
        refused = await shop.client.get(f"/v1/{path}", headers=other)
        assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope"), path


@pytest.mark.parametrize(
    "wrong",
    [
        "brand",
        "brand:",
        "brand: ",
        "with:soul",
        "stock:plenty",
        "price:high",
        "owner:me",
        ":x",
        "brand:a\x00",
        f"brand:{'x' * 300}",
    ],
)
async def test_sets_that_there_are_not_are_refused(shop: Seller, wrong: str) -> None:
    assert shop.client is not None
    headers = shop.client.speaking_as(shop.caller)
    for path in ("products", "product-sets", "product-sets/count"):
        refused: httpx.Response = await shop.client.get(f"/v1/{path}", params={"set": wrong}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed"), path
    many = {"set": [f"tag:{n}" for n in range(11)]}
    assert (await shop.client.get("/v1/products", params=many, headers=headers)).status_code == 422


async def test_products_are_rebuilt(shop: Seller, process: topology.Surrounded) -> None:
    await stocked_shop(shop)
    await finds(shop, ["Unfinished mug"], "mug")
    uow = process.surroundings.unit_of_work("search", service_envelope("search", shop.organization_id))
    await uow.execute("DELETE FROM operator_documents WHERE kind = 'product'")
    await uow.execute("UPDATE operator_indexes SET generation = generation + 1")
    await uow.commit()
    await finds(shop, [], "mug")
    assert shop.client is not None
    headers = shop.client.speaking_as(shop.caller)
    begun = await shop.client.post("/v1/operator-index/rebuild", json={"kind": "product"}, headers=headers)
    assert begun.status_code == 202
    await finds(shop, ["Unfinished mug"], "mug")
    await finds(shop, ["Unfinished mug", "Kettle"], None, "stock:out")


@pytest.mark.feature("CAT-10")
async def test_what_is_found_is_exported_whole(shop: Seller, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is looked at together, by words and sets, beside what the database knows alone."""
    monkeypatch.setattr(exporting, "PORTION", 2)
    drafts = [
        ProductDraft(
            title=f"Mug {n}", slug=f"mug-{n}", brand="Skerry" if n % 2 else None, variants=[a_variant(f"M-{n}")]
        )
        for n in range(9)
    ]
    for draft in drafts:
        await shop.ask(CreateProduct(draft=draft))
    await finds(shop, [f"Mug {n}" for n in reversed(range(9))], "mug")
    assert shop.client is not None
    headers = shop.client.speaking_as(shop.caller)

    async def exported(group: str, filter_: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
        body = {
            "group": group,
            "format": "ndjson",
            "filter": filter_,
            **({"shop": "main"} if group not in _OF_ALL else {}),
        }
        begun = await shop.client.post("/v1/exports", json=body, headers=headers)
        assert begun.status_code == 202, begun.text
        path = f"exports/{begun.json()['id']}"

        async def is_over() -> dict[str, Any] | None:
            export = await ask(shop, path)
            return export if export["finished_at"] else None

        done = await eventually(is_over)
        assert done is not None
        assert done["state"] == "succeeded", done
        file = await shop.client.get(f"/v1/{path}/file", headers=headers)
        return [orjson.loads(line)["sku"] for line in file.text.splitlines()], done

    every = [f"M-{n}" for n in range(9)]
    found, done = await exported("products", {"query": "mug"})
    assert (found, done["progress"]) == (every, {"done": 9, "total": 9})
    assert (await exported("products", {"sets": ["with:brand"]}))[0] == every[1::2]
    assert (await exported("variants", {"sets": ["without:brand"], "query": "mug"}))[0] == every[::2]
    assert (await exported("products", {"sets": ["without:brand"], "skus": ["M-1", "M-4"]}))[0] == ["M-4"]
    assert (await exported("products", {"sets": ["tag:none"]}))[0] == []
    stocked = UpdateStock(rows=[{"sku": sku, "on_hand": 3} for sku in (*every, "NOBODYS")])
    await shop.ask(stocked)
    await shop.ask(CreateSupplier(supplier=SupplierDraft(code="ada", name="Ada", currency="USD")))
    for sku in ("M-1", "M-2", "M-3"):
        await shop.ask(CreateSupplierLink(link=SupplierLinkDraft(supplier="ada", sku=sku)))
    assert (await exported("stock", {"sets": ["with:brand"], "query": "mug"}))[0] == every[1::2]
    assert (await exported("stock", {"brand": "Skerry", "skus": ["M-1", "M-2"], "centre": "main"}))[0] == ["M-1"]
    assert (await exported("stock", {"brand": "Skerry", "centre": "moon"}))[0] == []
    assert (await exported("stock", {"skus": ["NOBODYS"]}))[0] == ["NOBODYS"]
    assert (await exported("supplier-links", {"sets": ["with:brand"], "supplier": "ada"}))[0] == ["M-1", "M-3"]
    assert (await exported("supplier-links", {"supplier": "bea"}))[0] == []
    query = 'mutation {startExport(draft: {filter: {sets: ["brand:skerry"]}}) {... on Export {filter {sets}}}}'
    answer = await shop.client.post("/graphql", json={"query": query}, headers=headers)
    assert answer.json()["data"] == {"startExport": {"filter": {"sets": ["brand:skerry"]}}}
    for group, sets, code in (
        ("suppliers", ["with:brand"], "unsupported_filter"),
        ("products", ["x:y"], "validation_failed"),
    ):
        body = {"group": group, "filter": {"sets": sets}}
        refused = await shop.client.post("/v1/exports", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (422, code), group
