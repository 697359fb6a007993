"""The catalog over HTTP, as a merchant's own programs speak to it."""

from typing import Any
from uuid import uuid4

import pytest

from deploy import topology
from shared.bus.envelope import Caller
from shared.identifiers import new_id
from shared.settings import Settings
from tests.doors import Client, caller_of, eventually
from tests.factories.catalog import Catalog, csv_file, shopify_row

DRAFT = {
    "title": "Wool scarf",
    "brand": "Northwind",
    "options": ["Colour"],
    "attributes": {"fibre": "wool"},
    "images": [{"url": "https://images.example/1.jpg", "alt": "A scarf"}],
    "variants": [{"sku": "RED", "options": {"Colour": "Red"}, "barcode": "4006381333931", "weight_grams": 180}],
}


class Shopkeeper:
    """One organization's administrator over HTTP."""

    def __init__(self, client: Client, catalog: Catalog, caller: Caller) -> None:
        self.client = client
        self.catalog = catalog
        self.caller = caller

    async def ask(
        self, method: str, path: str, status: int, *, headers: dict[str, str] | None = None, **what: Any
    ) -> Any:
        answer = await self.client.request(
            method, f"/v1/{path}", headers={**self.client.speaking_as(self.caller), **(headers or {})}, **what
        )
        assert answer.status_code == status, answer.text
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        self.headers = answer.headers
        return answer.json()

    async def code(self, method: str, path: str, status: int, **what: Any) -> str:
        return (await self.ask(method, path, status, **what))["code"]

    async def graphql(self, query: str, **variables: Any) -> Any:
        answer = await self.client.post(
            "/graphql", json={"query": query, "variables": variables}, headers=self.client.speaking_as(self.caller)
        )
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    async def finished(self, import_id: str, seconds: float = 60) -> dict[str, Any]:
        async def look() -> Any:
            found = await self.ask("GET", f"imports/{import_id}", 200)
            return found if found["state"] not in ("queued", "running") else None

        return await eventually(look, seconds)

    async def listed(self, newest: dict[str, Any], filters: str = "") -> Any:
        """The list of imports, once accounts has heard of how the newest ended."""

        async def look() -> Any:
            found = (await self.ask("GET", f"imports?{filters}", 200))["items"]
            return found if found and found[0] == newest else None

        return await eventually(look, 30)


async def shopkeeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    catalog = Catalog(process)
    return Shopkeeper(client, catalog, caller_of(catalog.organization_id, "catalog:write"))


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


@pytest.mark.feature("CAT-1")
async def test_a_product_from_draft_to_archive(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "products", 201, json=DRAFT)
    assert keeper.headers["location"] == f"/v1/products/{made['id']}"
    assert (made["slug"], made["status"], made["version"], keeper.headers["etag"]) == ("wool-scarf", "draft", 1, '"1"')
    assert made["variants"][0]["options"] == {"Colour": "Red"}
    path = f"products/{made['id']}"
    assert await keeper.ask("GET", path, 200) == made
    assert await keeper.code("POST", f"{path}/publish", 409) == "product_has_no_price"
    price_list = await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": "Standard"})
    price = {"sku": "RED", "price": {"amount": 2990, "currency": "USD"}}
    done = await keeper.ask("PUT", "prices", 200, json={"price_list_id": price_list["id"], "prices": [price]})
    assert done == {"inserted": 1, "updated": 0, "removed": 0, "unchanged": 0}
    published = await keeper.ask("POST", f"{path}/publish", 200)
    assert (published["status"], published["version"]) == ("active", 2)
    assert (await keeper.ask("POST", f"{path}/publish", 200))["version"] == 2
    archived = await keeper.ask("POST", f"{path}/archive", 200)
    assert (archived["status"], archived["version"]) == ("archived", 3)
    assert [p["id"] for p in (await keeper.ask("GET", "products?status=archived", 200))["items"]] == [made["id"]]
    assert len(await keeper.catalog.events("products_changed")) == 3


@pytest.mark.feature("CAT-1")
async def test_a_change_touches_what_it_gives_and_obeys_if_match(keeper: Shopkeeper) -> None:
    made = await keeper.ask("POST", "products", 201, json=DRAFT)
    path = f"products/{made['id']}"
    changed = await keeper.ask("PATCH", path, 200, json={"title": "Scarf", "brand": None}, headers={"If-Match": '"1"'})
    assert (changed["title"], changed["brand"], changed["attributes"]) == ("Scarf", None, {"fibre": "wool"})
    assert (changed["version"], keeper.headers["etag"]) == (2, '"2"')
    stale = await keeper.code("PATCH", path, 412, json={"title": "X"}, headers={"If-Match": '"1"'})
    assert stale == "product_changed_since"
    assert await keeper.code("PATCH", path, 400, json={"title": "X"}, headers={"If-Match": "two"}) == "invalid_if_match"
    assert (await keeper.ask("PATCH", path, 200, json={"title": "Scarf"}))["version"] == 2
    variants = [{"sku": "BLUE", "options": {"Colour": "Blue"}}, {"sku": "RED", "options": {"Colour": "Rust"}}]
    both = await keeper.ask("PATCH", path, 200, json={"variants": variants})
    assert {v["sku"]: v["options"]["Colour"] for v in both["variants"]} == {"RED": "Rust", "BLUE": "Blue"}
    assert next(v for v in both["variants"] if v["sku"] == "RED")["id"] == made["variants"][0]["id"]
    renamed = await keeper.ask("PATCH", path, 200, json={"options": ["Color"], "remove_skus": ["BLUE"], "images": []})
    assert [(v["sku"], v["options"]) for v in renamed["variants"]] == [("RED", {"Color": "Rust"})]
    assert renamed["images"] == []
    assert (await keeper.catalog.events("variants_removed"))[-1]["skus"] == ["BLUE"]
    anew = {"remove_skus": ["RED"], "variants": [{"sku": "RED", "options": {"Color": "Crimson"}}]}
    replaced = (await keeper.ask("PATCH", path, 200, json=anew))["variants"]
    assert [(v["sku"], v["options"]) for v in replaced] == [("RED", {"Color": "Crimson"})]
    assert replaced[0]["id"] != renamed["variants"][0]["id"]


@pytest.mark.feature("CAT-1")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_failed"),
        ({"title": "  "}, 422, "validation_failed"),
        ({"title": "A", "colour": "red"}, 422, "validation_failed"),
        ({"title": "A", "slug": "Not A Slug"}, 422, "validation_failed"),
        ({"title": "A", "slug": "taken"}, 409, "slug_taken"),
        ({"title": "A", "variants": [{"sku": "TAKEN"}]}, 409, "sku_taken"),
        ({"title": "A", "variants": [{"sku": "X"}, {"sku": "X"}]}, 422, "duplicate_variant"),
        ({"title": "A", "variants": [{"sku": "X"}, {"sku": "Y"}]}, 422, "duplicate_variant"),
        ({"title": "A", "variants": [{"sku": "X", "options": {"Size": "S"}}]}, 422, "wrong_options"),
        ({"title": "A", "variants": [{"sku": "X", "barcode": "4006381333932"}]}, 422, "invalid_barcode"),
        ({"title": "A", "category_ids": [str(uuid4())]}, 404, "category_not_found"),
        ({"title": "A", "status": "active"}, 409, "product_has_no_price"),
        ({"title": "A\u0000B"}, 422, "validation_failed"),
    ],
)
async def test_a_product_that_cannot_be_is_refused_and_not_stored(
    keeper: Shopkeeper, body: dict[str, Any], status: int, code: str
) -> None:
    taken = {"title": "T", "slug": "taken", "variants": [{"sku": "TAKEN"}]}
    await keeper.ask("POST", "products", 201, json=taken)
    assert await keeper.code("POST", "products", status, json=body) == code
    assert [p["slug"] for p in (await keeper.ask("GET", "products", 200))["items"]] == ["taken"]


@pytest.mark.feature("CAT-1", "GAT-1")
async def test_pages_of_products_follow_each_other(keeper: Shopkeeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(7)]))
    seen, after = [], ""
    while after is not None:
        page = await keeper.ask("GET", f"products?first=3{f'&after={after}' if after else ''}", 200)
        seen += [product["slug"] for product in page["items"]]
        after = page["next"]
    assert sorted(seen) == [f"p-{n}" for n in range(7)]
    assert await keeper.code("GET", "products?after=forged", 400) == "invalid_cursor"
    assert await keeper.code("GET", "products?first=0", 422) == "validation_failed"
    assert [p["slug"] for p in (await keeper.ask("GET", "products?sku=P-3", 200))["items"]] == ["p-3"]


@pytest.mark.feature("CAT-2")
async def test_categories_are_made_changed_and_assigned(keeper: Shopkeeper) -> None:
    home = await keeper.ask("POST", "categories", 201, json={"name": "Home & Garden", "shops": ["main"]})
    assert (home["slug"], home["shops"]) == ("home-garden", ["main"])
    child = await keeper.ask(
        "POST", "categories", 201, json={"name": "Cups", "parent_id": home["id"], "names": {"de": "Tassen"}}
    )
    assert await keeper.code("POST", "categories", 409, json={"name": "cups", "parent_id": home["id"]}) == "slug_taken"
    unknown = {"name": "X", "parent_id": str(uuid4())}
    assert await keeper.code("POST", "categories", 404, json=unknown) == "category_not_found"
    assert await keeper.code("POST", "categories", 404, json={"name": "X", "shops": ["no"]}) == "shop_not_found"
    children = (await keeper.ask("GET", f"categories?parent_id={home['id']}", 200))["items"]
    assert [c["id"] for c in children] == [child["id"]]
    assert [c["id"] for c in (await keeper.ask("GET", "categories?roots_only=true", 200))["items"]] == [home["id"]]
    path = f"categories/{child['id']}"
    changed = await keeper.ask("PATCH", path, 200, json={"position": 4})
    assert (changed["position"], changed["names"], changed["version"]) == (4, {"de": "Tassen"}, 2)
    assert await keeper.code("PATCH", path, 422, json={"name": None}) == "validation_failed"
    assert (await keeper.ask("POST", f"{path}/assign", 200, json={"shops": ["main"]}))["shops"] == ["main"]
    assert (await keeper.ask("POST", f"{path}/unassign", 200, json={"shops": ["main"]}))["shops"] == []
    assert len(await keeper.catalog.events("categories_changed")) == 5
    # Sold because of what is above it, it cannot be unassigned by itself; assigned itself as well, it can.
    await keeper.ask("POST", f"categories/{home['id']}/assign", 200, json={"shops": ["main"]})
    unassigned = {"json": {"shops": ["main"]}}
    assert await keeper.code("POST", f"{path}/unassign", 409, **unassigned) == "assigned_from_above"
    await keeper.ask("POST", f"{path}/assign", 200, **unassigned)
    await keeper.ask("POST", f"{path}/unassign", 200, **unassigned)
    await keeper.ask("POST", f"categories/{home['id']}/unassign", 200, **unassigned)
    assert (await keeper.ask("POST", f"{path}/unassign", 200, **unassigned))["shops"] == []


@pytest.mark.feature("CAT-3")
async def test_prices_are_set_all_or_none(keeper: Shopkeeper) -> None:
    await keeper.catalog.bring_in(csv_file([shopify_row("a", price="1.00"), shopify_row("b", price="")]))
    price_list = (await keeper.ask("GET", "price-lists?shop=main", 200))["items"][0]["id"]

    def usd(amount: int) -> dict[str, Any]:
        return {"amount": amount, "currency": "USD"}

    bad = [
        {"sku": "B", "price": usd(5)},
        {"sku": "NONE", "price": usd(5)},
        {"sku": "A", "price": {"amount": 5, "currency": "EUR"}},
        {"sku": "A", "minimum_quantity": 3, "price": usd(-1)},
        {"sku": "B", "price": usd(6)},
    ]
    refusal = await keeper.ask("PUT", "prices", 422, json={"price_list_id": price_list, "prices": bad})
    assert refusal["code"] == "prices_refused"
    assert [(e["pointer"], e["code"]) for e in refusal["errors"]] == [
        ("/prices/1", "unknown_sku"),
        ("/prices/2", "currency_mismatch"),
        ("/prices/3", "invalid_price"),
        ("/prices/4", "duplicate_sku"),
    ]
    good = [
        {"sku": "A", "price": usd(100)},
        {"sku": "A", "minimum_quantity": 10, "price": usd(80), "list_price": usd(90)},
        {"sku": "B", "price": usd(5)},
    ]
    done = await keeper.ask("PUT", "prices", 200, json={"price_list_id": price_list, "prices": good})
    assert done == {"inserted": 2, "updated": 0, "removed": 0, "unchanged": 1}
    gone = {"price_list_id": price_list, "prices": [{"sku": "A", "price": None}]}
    assert (await keeper.ask("PUT", "prices", 200, json=gone))["removed"] == 1
    page = await keeper.ask("GET", f"prices?price_list_id={price_list}&first=1", 200)
    always = {"on_request": False, "centre": None, "starts_at": None, "ends_at": None}
    tier = {"sku": "A", "minimum_quantity": 10, "price": usd(80), "list_price": usd(90)}
    assert page["items"] == [tier | always]
    rest = await keeper.ask("GET", f"prices?price_list_id={price_list}&after={page['next']}", 200)
    assert [(p["sku"], p["price"]["amount"]) for p in rest["items"]] == [("B", 5)]
    later = {"shop": "main", "name": "X", "starts_at": "2030-01-02T00:00:00Z", "ends_at": "2030-01-01T00:00:00Z"}
    assert await keeper.code("POST", "price-lists", 422, json=later) == "ends_before_it_starts"
    odd = {"shop": "main", "name": "X", "currency": "XXX"}
    assert await keeper.code("POST", "price-lists", 422, json=odd) == "unknown_currency"


@pytest.mark.feature("CAT-5", "CAT-7", "CAT-9")
@pytest.mark.parametrize("as_multipart", [False, True], ids=["body", "multipart"])
async def test_a_file_is_uploaded_imported_and_its_errors_come_back(keeper: Shopkeeper, as_multipart: bool) -> None:
    content = csv_file([shopify_row("a"), shopify_row("b", sku=""), shopify_row("c", price="oops")])
    what: dict[str, Any] = (
        {"files": {"file": ("goods.csv", content, "text/csv")}} if as_multipart else {"content": content}
    )
    started = await keeper.ask("POST", "imports?group=products&profile=shopify&mode=merge&shop=main", 202, **what)
    assert keeper.headers["location"] == f"/v1/jobs/{started['job_id']}"
    assert (started["size"], started["file_name"]) == (len(content), "goods.csv" if as_multipart else None)
    done = await keeper.finished(started["id"])
    assert (done["state"], done["counters"]["products_inserted"], done["counters"]["errors"]) == ("succeeded", 2, 1)
    assert (done["requested_by"]["id"], done["shop"]) == (str(keeper.caller.id), "main")
    answer = await keeper.client.get(
        f"/v1/imports/{started['id']}/errors", headers=keeper.client.speaking_as(keeper.caller)
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert "-errors.csv" in answer.headers["content-disposition"]
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert (len(lines), lines[1].startswith("invalid_price,Variant Price:")) == (2, True)
    remarks = await keeper.ask("GET", f"imports/{started['id']}/remarks?kind=notice", 200)
    assert [r["code"] for r in remarks["items"]] == ["sku_generated"]
    assert await keeper.listed(done) == [done]


@pytest.mark.feature("CAT-5")
async def test_an_upload_that_is_refused_leaves_no_file(
    keeper: Shopkeeper, configuration: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def uploads() -> list[str]:
        folder = configuration.data / "blobs" / str(keeper.catalog.organization_id)
        return [path.name for path in folder.rglob("*") if path.is_file()]

    content = csv_file([shopify_row("a")])
    assert await keeper.code("POST", "imports", 422, content=b"") == "empty_upload"
    assert await keeper.code("POST", "imports?group=invoices", 422, content=content) == "unsupported_group"
    assert await keeper.code("POST", "imports?mode=nonsense", 422, content=content) == "unsupported_mode"
    assert await keeper.code("POST", "imports?shop=nowhere", 404, content=content) == "shop_not_found"
    odd = {"Content-Type": "multipart/form-data; boundary=x"}
    assert await keeper.code("POST", "imports", 400, content=b"--x\r\nbroken", headers=odd) == "malformed_upload"
    assert await keeper.code("POST", "imports", 400, content=b"x", headers={"Content-Type": "multipart/form-data"}) == (
        "malformed_upload"
    )
    nothing = {"data": {"name": "no file"}, "files": {}}
    assert await keeper.code("POST", "imports", 400, **nothing, headers=odd) == "malformed_upload"
    other_part = {"picture": ("goods.csv", content, "text/csv")}
    assert await keeper.code("POST", "imports", 400, files=other_part) == "malformed_upload"
    nameless = await keeper.ask("POST", "imports", 400, files={"file": (None, content, "text/csv")})
    assert "no file name" in nameless["detail"]
    monkeypatch.setattr("gateway.files.UPLOAD_BYTES", 200)
    assert await keeper.code("POST", "imports", 413, content=content) == "upload_too_large"

    async def pieces() -> Any:
        for _ in range(50):
            yield b"x" * 100_000

    assert await keeper.code("POST", "imports", 413, content=pieces()) == "upload_too_large"
    file = {"file": ("goods.csv", b"x" * 2_000_000, "text/csv")}
    assert await keeper.code("POST", "imports", 413, files=file) == "upload_too_large"
    assert uploads() == []
    assert (await keeper.ask("GET", "imports", 200))["items"] == []


@pytest.mark.feature("CAT-5", "GAT-1")
async def test_the_same_upload_with_the_same_key_is_one_import(keeper: Shopkeeper) -> None:
    content, key = csv_file([shopify_row("a")]), {"Idempotency-Key": "upload-1"}
    first = await keeper.ask("POST", "imports", 202, content=content, headers=key)
    done = await keeper.finished(first["id"])
    second = await keeper.ask("POST", "imports", 202, content=content, headers=key)
    assert (second["id"], second["job_id"]) == (first["id"], first["job_id"])
    other = csv_file([shopify_row("b")])
    assert await keeper.code("POST", "imports", 422, content=other, headers=key) == "idempotency_key_reused"
    assert await keeper.listed(done) == [done]
    assert [p["slug"] for p in (await keeper.ask("GET", "products", 200))["items"]] == ["a"]


@pytest.mark.feature("ACC-1", "ACC-4")
async def test_other_tenants_missing_scopes_and_nobody_see_nothing(
    keeper: Shopkeeper, client: Client, process: topology.Surrounded
) -> None:
    product = await keeper.ask("POST", "products", 201, json=DRAFT)
    category = await keeper.ask("POST", "categories", 201, json={"name": "C"})
    price_list = await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": "S"})
    imported = await keeper.finished(
        (await keeper.ask("POST", "imports", 202, content=csv_file([shopify_row("a")])))["id"]
    )
    price = {"price_list_id": price_list["id"], "prices": [{"sku": "RED", "price": None}]}
    reads = {
        f"products/{product['id']}": "product_not_found",
        f"products/{product['id']}/texts": "product_not_found",
        f"categories/{category['id']}": "category_not_found",
        f"prices?price_list_id={price_list['id']}": "price_list_not_found",
        f"imports/{imported['id']}": "import_not_found",
        f"imports/{imported['id']}/errors": "import_not_found",
        f"imports/{imported['id']}/remarks": "import_not_found",
        "price-lists?shop=main": "shop_not_found",
    }
    writes: list[tuple[str, str, dict[str, Any], str]] = [
        ("PATCH", f"products/{product['id']}", {"json": {"title": "X"}}, "product_not_found"),
        ("POST", f"products/{product['id']}/publish", {}, "product_not_found"),
        ("POST", f"products/{product['id']}/archive", {}, "product_not_found"),
        ("PUT", f"products/{product['id']}/texts", {"json": {"locale": "de", "title": "X"}}, "product_not_found"),
        ("PATCH", f"categories/{category['id']}", {"json": {"name": "X"}}, "category_not_found"),
        ("POST", f"categories/{category['id']}/assign", {"json": {"shops": ["main"]}}, "category_not_found"),
        ("POST", f"categories/{category['id']}/unassign", {"json": {"shops": ["main"]}}, "category_not_found"),
        ("POST", "products", {"json": {"title": "X", "category_ids": [category["id"]]}}, "category_not_found"),
        ("POST", "categories", {"json": {"name": "X", "parent_id": category["id"]}}, "category_not_found"),
        ("POST", "price-lists", {"json": {"shop": "main", "name": "X"}}, "shop_not_found"),
        ("PUT", "prices", {"json": price}, "price_list_not_found"),
        ("POST", "imports?shop=main", {"content": b"x"}, "shop_not_found"),
    ]
    stranger = await shopkeeper(client, process)
    for path, code in reads.items():
        assert await stranger.code("GET", path, 404) == code
    for method, path, what, code in writes:
        assert await stranger.code(method, path, 404, **what) == code
    for path in ("products", "categories", "price-lists", "imports"):
        assert (await stranger.ask("GET", path, 200))["items"] == []
    reader = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    for method, path, what, _ in writes:
        assert await reader.code(method, path, 403, **what) == "missing_scope"
    outsider = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "payments:write"))
    for path in (*reads, "products", "categories", "imports"):
        assert await outsider.code("GET", path, 403) == "missing_scope"
    nobody = await client.post("/v1/imports", content=b"x")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")


@pytest.mark.feature("ACC-5")
async def test_a_caller_of_one_shop_sees_the_prices_and_imports_of_that_shop_alone(
    keeper: Shopkeeper, client: Client
) -> None:
    other = await keeper.catalog.open_shop(code="other")
    content = csv_file([shopify_row("a")])
    await keeper.finished((await keeper.ask("POST", "imports?shop=main", 202, content=content))["id"])
    limited = Shopkeeper(
        client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:write", shop_ids=[other.id])
    )
    main_list = (await keeper.ask("GET", "price-lists", 200))["items"][0]["id"]
    assert (await limited.ask("GET", "price-lists", 200))["items"] == []
    assert (await limited.ask("GET", "imports", 200))["items"] == []
    assert await limited.code("GET", f"prices?price_list_id={main_list}", 404) == "price_list_not_found"
    assert await limited.code("POST", "price-lists", 404, json={"shop": "main", "name": "X"}) == "shop_not_found"
    assert await limited.code("POST", "imports?shop=main", 404, content=content) == "shop_not_found"
    mine = await limited.ask("POST", "imports", 202, content=content)
    assert mine["shop"] == "other"
    assert (await limited.ask("POST", "price-lists", 201, json={"shop": "other", "name": "X"}))["currency"] == "USD"


@pytest.mark.feature("GAT-2", "CAT-1", "CAT-2", "CAT-3")
async def test_what_one_door_writes_the_other_reads(keeper: Shopkeeper) -> None:
    made = await keeper.graphql(
        "mutation($draft: ProductDraftInput!) { createProduct(draft: $draft) {"
        " ... on Product { uuid version variants { sku } } ... on Problem { code } } }",
        draft={"title": "Cup", "variants": [{"sku": "CUP"}]},
    )
    product = made["createProduct"]
    assert product["variants"] == [{"sku": "CUP"}]
    assert (await keeper.ask("GET", f"products/{product['uuid']}", 200))["title"] == "Cup"
    change = "mutation($id: UUID!, $change: ProductChangeInput!) { updateProduct(productId: $id, change: $change) {"
    change += " ... on Product { title brand version } ... on Problem { code } } }"
    await keeper.ask("PATCH", f"products/{product['uuid']}", 200, json={"brand": "B"})
    changed = await keeper.graphql(change, id=product["uuid"], change={"title": "Mug"})
    assert changed["updateProduct"] == {"title": "Mug", "brand": "B", "version": 3}
    missing = await keeper.graphql(change, id=str(new_id()), change={"title": "Mug"})
    assert missing["updateProduct"] == {"code": "product_not_found"}
    await keeper.ask("POST", "categories", 201, json={"name": "C", "shops": ["main"]})
    await keeper.ask("POST", "price-lists", 201, json={"shop": "main", "name": "S"})
    seen = await keeper.graphql(
        "{ products(first: 5) { nodes { title } } categories { nodes { name shops } }"
        " priceLists { nodes { currency } } }"
    )
    assert seen == {
        "products": {"nodes": [{"title": "Mug"}]},
        "categories": {"nodes": [{"name": "C", "shops": ["main"]}]},
        "priceLists": {"nodes": [{"currency": "USD"}]},
    }
