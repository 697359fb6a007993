"""Imports through both doors: one history over all services, files from elsewhere, and all that is done about them."""

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy import topology
from shared.imports import fetching
from shared.settings import settings
from tests.doors import Client, caller_of, eventually
from tests.factories.catalog import SHOPIFY, csv_file, shopify_row
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper
from tests.shared.impex.test_platforms import MAGENTO, table

pytestmark = pytest.mark.feature("CAT-9")


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    made.caller = caller_of(made.catalog.organization_id, "catalog:write", "inventory:write")
    await made.catalog.open_shop()
    return made


async def brought(keeper: Shopkeeper, query: str, content: bytes) -> dict[str, Any]:
    started = await keeper.ask("POST", f"imports?{query}", 202, content=content)
    return await keeper.finished(started["id"])


async def test_one_history_over_all_services_with_filters(keeper: Shopkeeper, client: Client) -> None:
    other = await keeper.catalog.open_shop(code="other")
    products = await brought(keeper, "group=products&shop=main", csv_file([shopify_row("a")]))
    prices = await brought(keeper, "group=prices&shop=other", b"sku,price\nNONE,1\n")
    stock = await brought(keeper, "group=stock", b"sku,on_hand\nA,3\n")
    assert [i["service"] for i in (products, prices, stock)] == ["catalog", "catalog", "inventory"]
    assert [i["read_as"]["profile"] for i in (products, prices, stock)] == ["shopify", None, None]
    assert [i["id"] for i in await keeper.listed(stock)] == [stock["id"], prices["id"], products["id"]]
    assert await keeper.listed(prices, "state=failed") == [prices]
    assert await keeper.listed(products, "group=products") == [products]
    assert await keeper.listed(products, "shop=main") == [products]
    assert len(await keeper.listed(stock, f"requested_by={keeper.caller.id}")) == 3
    assert (await keeper.ask("GET", f"imports?requested_by={other.id}", 200))["items"] == []
    assert await keeper.code("GET", "imports?state=nonsense", 422) == "validation_failed"
    page = await keeper.ask("GET", "imports?first=2", 200)
    rest = await keeper.ask("GET", f"imports?first=2&after={page['next']}", 200)
    assert ([i["id"] for i in rest["items"]], rest["next"]) == ([products["id"]], None)
    assert (products["duration_seconds"] >= 0, products["origin"]) == (True, "api")

    seen = await keeper.graphql(
        '{ imports(group: "stock") { nodes { uuid state counters service harms { what } readAs { format } } } }'
    )
    assert seen["imports"]["nodes"] == [
        {
            "uuid": stock["id"],
            "state": "SUCCEEDED",
            "counters": stock["counters"],
            "service": "inventory",
            "harms": [],
            "readAs": {"format": "csv"},
        }
    ]
    limited = Shopkeeper(
        client,
        keeper.catalog,
        caller_of(keeper.catalog.organization_id, "catalog:read", "inventory:read", shop_ids=[other.id]),
    )
    assert [i["id"] for i in (await limited.ask("GET", "imports", 200))["items"]] == [prices["id"]]
    assert await limited.code("GET", f"imports/{products['id']}", 404) == "import_not_found"
    stockless = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    assert stock["id"] not in str(await stockless.ask("GET", "imports", 200))
    assert await stockless.code("GET", f"imports/{stock['id']}", 403) == "missing_scope"


async def test_original_and_error_file_come_back_and_the_corrected_rows_are_a_rerun(keeper: Shopkeeper) -> None:
    content = csv_file([shopify_row("a"), shopify_row("b", price="oops")])
    first = await brought(keeper, "group=products", content)
    headers = keeper.client.speaking_as(keeper.caller)
    original = await keeper.client.get(f"/v1/imports/{first['id']}/file", headers=headers)
    assert (original.status_code, original.content) == (200, content)
    errors = await keeper.client.get(f"/v1/imports/{first['id']}/errors", headers=headers)
    corrected = errors.content.replace(b"oops", b"5.00")
    second = await brought(keeper, f"group=products&rerun_of={first['id']}", corrected)
    assert (second["state"], second["rerun_of"], second["counters"]["rows"]) == ("succeeded", first["id"], 1)
    assert second["counters"]["errors"] == 0
    nobody = "01890a5d-ac96-774b-bcce-b302099a8001"
    assert await keeper.code("POST", f"imports?rerun_of={nobody}", 404, content=content) == "import_not_found"
    again = await keeper.ask("POST", f"imports/{first['id']}/rerun", 202)
    done = await keeper.finished(again["id"])
    assert (done["state"], done["counters"]["errors"]) == ("failed", 1)


@pytest.mark.feature("CAT-6")
async def test_dry_run_apply_hold_confirm_and_undo_through_both_doors(keeper: Shopkeeper) -> None:
    await brought(keeper, "group=products", csv_file([shopify_row(f"p-{n}") for n in range(4)]))
    tried = await brought(keeper, "group=products&mode=delete&dry_run=true", b"Handle\np-1\np-2\n")
    samples = await keeper.ask("GET", f"imports/{tried['id']}/samples?kind=delete", 200)
    assert [s["name"] for s in samples["items"]] == ["p-1", "p-2"]
    first = await keeper.ask("GET", f"imports/{tried['id']}/samples?first=1", 200)
    rest = await keeper.ask("GET", f"imports/{tried['id']}/samples?first=1&after={first['next']}", 200)
    assert (rest["items"][0]["name"], rest["next"]) == ("p-2", None)
    shown = await keeper.graphql(
        "query($id: UUID!) { importSamples(importId: $id) { nodes { kind name fields { field before after } } } }",
        id=tried["id"],
    )
    assert shown["importSamples"]["nodes"][0] == {
        "kind": "DELETE",
        "name": "p-1",
        "fields": [{"field": "status", "before": "active", "after": "archived"}],
    }
    applied = await keeper.ask("POST", f"imports/{tried['id']}/apply", 202)
    assert keeper.headers["location"] == f"/v1/jobs/{applied['job_id']}"
    held = await keeper.finished(applied["id"])
    assert (held["state"], held["harms"]) == ("held", [{"what": "products_archived", "count": 2, "of": 4}])
    assert await keeper.listed(held, "state=held") == [held]
    asked = await keeper.graphql(
        "mutation($id: UUID!) { confirmImport(importId: $id) { ... on Import { state } ... on Problem { code } } }",
        id=held["id"],
    )
    assert asked["confirmImport"] == {"state": "QUEUED"}
    done = await keeper.finished(held["id"])
    assert (done["state"], done["counters"]["products_archived"]) == ("succeeded", 2)
    undoing = await keeper.ask("POST", f"imports/{held['id']}/undo", 202)
    assert keeper.headers["location"] == f"/v1/jobs/{undoing['undo']['job_id']}"

    async def is_undone() -> Any:
        found = await keeper.ask("GET", f"imports/{held['id']}", 200)
        return found if found["state"] == "undone" else None

    over = await eventually(is_undone)
    assert await keeper.listed(over, "state=undone") == [over]
    assert {p["status"] for p in (await keeper.ask("GET", "products", 200))["items"]} == {"active"}
    again = await keeper.graphql(
        "mutation($id: UUID!) { undoImport(importId: $id) { ... on Import { state } ... on Problem { code } } }",
        id=held["id"],
    )
    assert again["undoImport"] == {"code": "import_already_undone"}
    for verb, code in (("apply", "not_a_dry_run"), ("confirm", "import_not_held"), ("undo", "import_already_undone")):
        assert await keeper.code("POST", f"imports/{held['id']}/{verb}", 409) == code


async def undone(keeper: Shopkeeper, imported: dict[str, Any]) -> dict[str, Any]:
    await keeper.ask("POST", f"imports/{imported['id']}/undo", 202)

    async def is_undone() -> Any:
        found = await keeper.ask("GET", f"imports/{imported['id']}", 200)
        return found if found["state"] == "undone" else None

    over: dict[str, Any] = await eventually(is_undone, 30)
    return over


async def stock_of(keeper: Shopkeeper) -> dict[str, tuple[int, str]]:
    levels = (await keeper.ask("GET", "stock?first=200", 200))["items"]
    return {level["sku"]: (level["on_hand"], level["policy"]) for level in levels}


async def stocked(keeper: Shopkeeper, expected: dict[str, tuple[int, str]]) -> None:
    async def look() -> Any:
        return await stock_of(keeper) == expected

    await eventually(look, 30)


@pytest.mark.feature("CAT-9", "INV-2")
@pytest.mark.parametrize("on_error", ["skip", "abort"])
async def test_an_undo_of_products_takes_their_stock_back(keeper: Shopkeeper, on_error: str) -> None:
    keeper.caller = caller_of(keeper.catalog.organization_id, "catalog:write", "inventory:write")
    first = csv_file(
        [shopify_row("q-1", quantity="4"), shopify_row("q-2", quantity="3"), shopify_row("q-5", quantity="1")]
    )
    await brought(keeper, "group=products", first)
    standard = {"Q-1": (4, "standard"), "Q-2": (3, "standard"), "Q-5": (1, "standard")}
    await stocked(keeper, standard)
    rows = [
        shopify_row("q-1", quantity="9", policy="continue"),
        shopify_row("q-2", quantity="8"),
        shopify_row("q-3", quantity="7", policy="continue"),
        shopify_row("q-4"),
        shopify_row("q-5", quantity="1"),
    ]
    header = (*SHOPIFY, "Variant Inventory Policy")
    second = await brought(keeper, f"group=products&on_error={on_error}", csv_file(rows, header))
    await stocked(keeper, standard | {"Q-1": (9, "backorder"), "Q-2": (8, "standard"), "Q-3": (7, "backorder")})
    sale = {"sku": "Q-2", "delta": -1, "reason": "broken"}
    await keeper.ask("POST", "stock/adjust", 200, json=sale)
    over = await undone(keeper, second)
    assert (over["undo"]["conflicts"], over["undo"]["notes"]) == (1, [])
    assert await stock_of(keeper) == standard | {"Q-2": (7, "standard"), "Q-3": (0, "standard")}
    (conflict,) = (await keeper.ask("GET", f"imports/{second['id']}/conflicts", 200))["items"]
    named = {name: conflict[name] for name in ("part", "name", "field", "code", "before", "imported")}
    assert named == {
        "part": "stock",
        "name": "Q-2 in main",
        "field": "on_hand",
        "code": "touched_since",
        "before": 3,
        "imported": 8,
    }
    query = "query Q($id: UUID!) { importConflicts(importId: $id) { nodes { part name field code } } }"
    nodes = (await keeper.graphql(query, id=second["id"]))["importConflicts"]["nodes"]
    assert nodes == [{name: conflict[name] for name in ("part", "name", "field", "code")}]


async def test_conflicts_of_an_undo_are_listed_and_downloaded(keeper: Shopkeeper) -> None:
    await brought(keeper, "group=products", csv_file([shopify_row("a", brand="=Old")]))
    second = await brought(keeper, "group=products", csv_file([shopify_row("a", brand="New")]))
    product = (await keeper.ask("GET", "products", 200))["items"][0]
    await keeper.ask("PATCH", f"products/{product['id']}", 200, json={"brand": "Mine"})
    await keeper.ask("POST", f"imports/{second['id']}/undo", 202)

    async def conflicts() -> Any:
        return (await keeper.ask("GET", f"imports/{second['id']}/conflicts", 200))["items"]

    (conflict,) = await eventually(conflicts)
    assert (conflict["name"], conflict["field"], conflict["code"]) == ("a", "brand", "touched_since")
    file = await keeper.client.get(
        f"/v1/imports/{second['id']}/conflicts",
        headers=keeper.client.speaking_as(keeper.caller, Accept="text/csv"),
    )
    assert file.headers["content-type"].startswith("text/csv")
    lines = file.text.splitlines()
    assert lines[0].startswith("part,name,field,code")
    assert "'=Old" in lines[1]
    seen = await keeper.graphql(
        "query($id: UUID!) { importConflicts(importId: $id) { nodes { field imported } } }", id=second["id"]
    )
    assert seen["importConflicts"]["nodes"] == [{"field": "brand", "imported": "New"}]


# --- files from elsewhere


@contextlib.asynccontextmanager
async def serving(answers: dict[str, tuple[str, dict[str, str], bytes]]) -> AsyncIterator[str]:
    """A web server on the loopback address: by path the status line, headers and body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, headers, body = answers.get(request.split(" ")[1], ("404 Not Found", {}, b""))
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def private_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "fetch_private", True)


@pytest.mark.feature("CAT-5")
async def test_a_file_is_fetched_from_its_address(keeper: Shopkeeper, private_addresses: None) -> None:
    content = csv_file([shopify_row("fetched")])
    async with serving(
        {
            "/files/goods.csv": ("200 OK", {"Content-Length": str(len(content))}, content),
            "/moved": ("302 Found", {"Location": "/files/goods.csv"}, b""),
        }
    ) as address:
        for path, name in (("/files/goods.csv", "goods.csv"), ("/moved", "moved")):
            started = await keeper.ask("POST", "imports?group=products", 202, json={"url": address + path})
            assert (started["origin"], started["size"], started["sha256"]) == ("url", None, None)
            done = await keeper.finished(started["id"])
            assert (done["state"], done["error"], done["file_name"]) == ("succeeded", None, name)
            assert (done["size"], done["origin_detail"]) == (len(content), address + path)
        asked = await keeper.graphql(
            'mutation($url: String!) { importFromUrl(url: $url, group: "products", dryRun: true) {'
            " ... on Import { uuid origin } ... on Problem { code } } }",
            url=address + "/files/goods.csv",
        )
        assert asked["importFromUrl"]["origin"] == "URL"
        tried = await keeper.finished(asked["importFromUrl"]["uuid"])
        assert (tried["state"], tried["same_as"]) == ("succeeded", done["id"])
    headers = keeper.client.speaking_as(keeper.caller)
    original = await keeper.client.get(f"/v1/imports/{done['id']}/file", headers=headers)
    assert original.content == content


@pytest.mark.feature("CAT-5")
async def test_what_cannot_be_fetched_fails_with_its_reason(
    keeper: Shopkeeper, private_addresses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_BYTES", 1000)
    async with serving(
        {
            "/large": ("200 OK", {}, b"x" * 5000),
            "/round": ("302 Found", {"Location": "/round"}, b""),
            "/file": ("302 Found", {"Location": "file:///etc/passwd"}, b""),
            "/cut": ("200 OK", {"Content-Length": "999"}, b"Handle,Title\n"),
            "/broken": ("500 Internal Server Error", {}, b"sorry"),
            "/empty": ("200 OK", {"Content-Length": "0"}, b""),
        }
    ) as address:
        for path, code in (
            *(("/large", "file_not_fetched"), ("/round", "file_not_fetched"), ("/file", "file_not_fetched")),
            *(("/cut", "file_not_fetched"), ("/broken", "file_not_fetched"), ("/none", "file_not_fetched")),
            ("/empty", "empty_file"),
        ):
            started = await keeper.ask("POST", "imports", 202, json={"url": address + path})
            done = await keeper.finished(started["id"])
            assert (path, done["state"], done["error"]["code"]) == (path, "failed", code)
            if path != "/empty":
                assert await keeper.code("GET", f"imports/{started['id']}/file", 404) == "import_file_not_there"
        # What was fetched is kept, also if it is nothing.
        headers = keeper.client.speaking_as(keeper.caller)
        nothing = await keeper.client.get(f"/v1/imports/{started['id']}/file", headers=headers)
        assert (nothing.status_code, nothing.content) == (200, b"")


@pytest.mark.feature("CAT-5")
async def test_addresses_inside_our_network_are_not_asked(keeper: Shopkeeper) -> None:
    asked = []

    async def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(1)
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"):
            started = await keeper.ask("POST", "imports", 202, json={"url": f"http://{host}:{port}/"})
            done = await keeper.finished(started["id"])
            assert (host, done["state"], done["error"]["code"]) == (host, "failed", "file_not_fetched")
    assert asked == []


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"\n", 400, "malformed_json"),
        (b" " * 1_000_000 + b"[", 413, "upload_too_large"),
        (b'{"url": 5}', 422, "validation_failed"),
        (b'{"url": "https://a.example/b", "more": 1}', 422, "validation_failed"),
        (b'{"url": "ftp://a.example/b"}', 422, "invalid_url"),
        (b'{"url": "https://"}', 422, "invalid_url"),
        (b'{"url": "https://me:secret@a.example/b"}', 422, "invalid_url"),
        (b'{"url": "https://a.example:99999/b"}', 422, "invalid_url"),
        (b'{"url": "https://a.example/\\n"}', 422, "invalid_url"),
    ],
)
async def test_an_address_that_is_none_is_refused(keeper: Shopkeeper, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert await keeper.code("POST", "imports", status, content=body, headers=headers) == code
    assert await keeper.catalog.rows("SELECT FROM imports") == []


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/x-www-form-urlencoded", b"Handle,Title\none,One\n"),
        ("application/json", b' \n[{"Handle": "one", "Title": "One"}]'),
        ("text/plain", b"Handle,Title\none,One\n"),
    ],
)
async def test_a_body_is_the_file_whatever_the_client_calls_it(
    keeper: Shopkeeper, media_type: str, content: bytes
) -> None:
    headers = {"Content-Type": media_type}
    started = await keeper.ask("POST", "imports?group=products&profile=shopify", 202, content=content, headers=headers)
    done = await keeper.finished(started["id"])
    assert (done["state"], done["counters"]["products_inserted"]) == ("succeeded", 1)


@pytest.mark.feature("CAT-7")
async def test_faults_name_the_column_of_the_merchant_s_own_file_through_both_doors(keeper: Shopkeeper) -> None:
    plies = {"code": "plies", "label": "Plies", "type": "integer"}
    await keeper.ask("POST", "attributes", 201, json=plies)
    row = {"product_type": "simple", "name": "Bag", "product_online": "1", "price": "5"}
    rows = [
        {"sku": "a", **row, "additional_attributes": "material=wool,gtin=123"},
        {"sku": "b", **row, "url_key": "b", "additional_attributes": "material=wool,plies=many"},
        {"sku": "c", **row, "url_key": "c", "additional_images": "https://x.example/1.jpg,https://?"},
    ]
    done = await brought(keeper, "group=products&profile=magento", table(MAGENTO, *rows))
    expected = [
        (2, "additional_attributes", "123", "invalid_gtin"),
        (3, "additional_attributes", "many", "not_integer"),
        (4, "additional_images", "https://?", "invalid_url"),
    ]
    seen = (await keeper.ask("GET", f"imports/{done['id']}/remarks", 200))["items"]
    assert [(said["row"], said["column"], said["value"], said["code"]) for said in seen] == expected
    query = "query Q($id: UUID!) { importRemarks(importId: $id) { nodes { row column value code } } }"
    nodes = (await keeper.graphql(query, id=done["id"]))["importRemarks"]["nodes"]
    assert [(said["row"], said["column"], said["value"], said["code"]) for said in nodes] == expected
    headers = keeper.client.speaking_as(keeper.caller)
    errors = await keeper.client.get(f"/v1/imports/{done['id']}/errors", headers=headers)
    assert [line["error_message"].partition(":")[0] for line in csv.DictReader(io.StringIO(errors.text))] == [
        column for _, column, _, _ in expected
    ]
