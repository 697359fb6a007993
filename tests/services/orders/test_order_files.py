"""Files of orders through the door: what a merchant exports from another system, and all that can be wrong with it."""

import asyncio
import csv
import io
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from deploy import topology
from services.orders.use_cases import order_files
from shared import clock
from shared.bus.envelope import Caller, service_envelope
from shared.identifiers import new_id
from shared.jobs import RunningJob
from shared.unit_of_work import UnitOfWork
from tests.doors import Client, caller_of, eventually
from tests.factories.orders import Seller
from tests.services.orders.test_imported_orders import FakeConnection, dollars, reserved

pytestmark = pytest.mark.feature("CAT-5", "ORD-5")

# What is said of an order once.
OWN = {
    "status": "paid",
    "is_paid": "yes",
    "placed_at": "2026-01-01",
    "updated_at": "2026-01-02",
    "currency": "usd",
    "total": "18.00",
    "customer_email": "ada@example.com",
    "customer_name": "Ada Lovelace",
    "line1": "1 Quay",
    "city": "Portsea",
    "country": "us",
}
LINE = {"sku": "MUG", "quantity": "2", "unit_price": "9.00"}


def row(external_id: str, **cells: str) -> dict[str, str]:
    return {"external_id": external_id, **OWN, **LINE, **cells}


def line(external_id: str, **cells: str) -> dict[str, str]:
    """A further row of an order, which says nothing of it again."""
    return {"external_id": external_id, **LINE, **cells}


def csv_of(rows: Sequence[dict[str, str]], *without: str) -> bytes:
    headings = [name for name in dict.fromkeys(name for each in rows for name in each) if name not in without]
    text = io.StringIO()
    writer = csv.DictWriter(text, headings, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class Files:
    """Somebody who uploads files of orders, and looks what came of them."""

    def __init__(self, connection: FakeConnection, caller: Caller) -> None:
        self.connection = connection
        self.client = connection.client
        self.caller = caller

    @property
    def headers(self) -> dict[str, str]:
        return self.client.speaking_as(self.caller)

    async def start(self, content: bytes, **options: Any) -> Any:
        query = {"group": "orders", **options}
        return await self.client.post("/v1/imports", params=query, content=content, headers=self.headers)

    async def bring_in(self, content: bytes | Sequence[dict[str, str]], **options: Any) -> dict[str, Any]:
        content = content if isinstance(content, bytes) else csv_of(content)
        started = await self.start(content, **options)
        assert started.status_code == 202, started.text
        return await self.finished(started.json()["id"])

    async def finished(self, import_id: str) -> dict[str, Any]:
        async def look() -> Any:
            found = (await self.client.get(f"/v1/imports/{import_id}", headers=self.headers)).json()
            return found if found["state"] not in ("queued", "running") else None

        return dict(await eventually(look, 60))

    async def get(self, path: str, **parameters: Any) -> Any:
        answer = await self.client.get(f"/v1/{path}", params=parameters, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer

    async def remarks(self, done: dict[str, Any], kind: str = "error") -> list[tuple[int, str | None, str]]:
        found = (await self.get(f"imports/{done['id']}/remarks", kind=kind, first=200)).json()["items"]
        return [(each["row"], each["column"], each["code"]) for each in found]

    async def external_ids(self) -> list[str]:
        found = (await self.get("imported-orders", first=200)).json()["items"]
        return sorted(each["external_id"] for each in found)


@pytest.fixture
async def seller(process: topology.Surrounded, client: Client) -> Seller:
    return await Seller(process).open({"MUG": "10.00", "CUP": "2.50"}, {"MUG": 100, "CUP": 100})


@pytest.fixture
async def bazaar(client: Client, seller: Seller) -> FakeConnection:
    return await FakeConnection(client, seller).connect()


@pytest.fixture
def files(bazaar: FakeConnection) -> Files:
    return Files(bazaar, bazaar.caller)


def outcomes(done: dict[str, Any]) -> tuple[int, ...]:
    names = ("inserted", "updated", "unchanged", "skipped")
    return tuple(done["counters"].get(f"orders_{name}", 0) for name in names)


async def test_a_file_goes_the_way_of_a_connection(files: Files, bazaar: FakeConnection, seller: Seller) -> None:
    charges = {"shipping_price": "5.00", "discount": "3.00", "discount_name": "SPRING", "tax": "1.00"}
    content = csv_of(
        [
            row("paid", number="#1", total="23.50", **charges),
            row("done", status="done"),
            line("paid", sku="CUP", title="Old cup", quantity="1", unit_price="2.50"),
            row("review", status="review"),
            row("draft", status="draft"),
            row("strange", status="strange"),
            row("unknown", sku="NONE"),
        ]
    )
    done = await files.bring_in(content)
    assert (done["state"], done["error"], outcomes(done)) == ("succeeded", None, (6, 0, 0, 0))
    assert (done["service"], done["counters"]["rows"], done["counters"]["errors"]) == ("orders", 7, 0)
    assert await files.remarks(done, "notice") == [(7, None, "unknown_status")]
    order = await bazaar.imported("paid")
    assert (order["status"], order["total"], order["paid"]) == ("processing", dollars(2350), dollars(2350))
    assert order["source"] == {"connection_id": bazaar.id, "external_id": "paid", "external_number": "#1"}
    lines = [(each["sku"], each["title"], each["quantity"], each["unit_price"]["amount"]) for each in order["lines"]]
    assert lines == [("MUG", lines[0][1], 2, 900), ("CUP", "Old cup", 1, 250)], "also where its rows stand apart"
    assert (await bazaar.imported("done"))["status"] == "complete"
    assert (await bazaar.imported("review"))["status"] == "on_hold"
    await bazaar.settled("draft", "ignored")
    await bazaar.settled("strange", "set_aside", "unknown_status")
    await bazaar.settled("unknown", "set_aside", "unknown_sku")
    await reserved(seller, "MUG", 4)

    again = await files.bring_in(content)
    assert (again["state"], outcomes(again), again["same_as"]) == ("succeeded", (0, 0, 6, 0), done["id"])
    news = await files.bring_in([row("paid", status="cancelled", sku="CUP", total="1.00", updated_at="2026-01-03")])
    assert outcomes(news) == (0, 1, 0, 0)
    cancelled = await bazaar.moved("paid", "cancelled")
    assert (cancelled["total"], len(cancelled["lines"])) == (dollars(2350), 2), "nothing but its status is taken"
    late = await files.bring_in([row("paid", status="paid")])
    assert outcomes(late) == (0, 0, 1, 0), "older than what is known"
    assert await seller.discrepancies() == []


async def test_shipping_without_a_price_is_free_and_keeps_its_method(files: Files, bazaar: FakeConnection) -> None:
    """As shops export it; a price that was forgotten shows in the total."""
    done = await files.bring_in(
        [
            row("free", shipping_method="pickup", shipping_title="Collected at the quay", shipping_price=""),
            row("titled", shipping_title="Free over $10"),
            row("nothing"),
            row("forgotten", shipping_method="courier", total="23.00"),
        ]
    )
    assert outcomes(done) == (4, 0, 0, 0)
    assert await files.remarks(done, "notice") == [(5, None, "totals_differ")]
    free = {"method": "pickup", "title": "Collected at the quay", "price": dollars(0)}
    orders = {name: await bazaar.imported(name) for name in ("free", "titled", "nothing")}
    assert orders["free"]["shipping"] == free
    assert orders["titled"]["shipping"] == {"method": "other", "title": "Free over $10", "price": dollars(0)}
    assert orders["nothing"]["shipping"] is None
    await bazaar.settled("forgotten", "set_aside", "totals_differ")


@pytest.mark.feature("CAT-8")
async def test_without_times_an_order_is_newer_when_it_says_something_else(
    files: Files, bazaar: FakeConnection
) -> None:
    def timeless(*rows: dict[str, str]) -> bytes:
        return csv_of(rows, "updated_at")

    rows = [row("1"), row("2", sku="LATER")]
    assert outcomes(await files.bring_in(timeless(*rows))) == (2, 0, 0, 0)
    await bazaar.imported("1")
    await bazaar.settled("2", "set_aside", "unknown_sku")
    many = await asyncio.gather(*(files.bring_in(timeless(*rows)) for _ in range(4)))
    assert [outcomes(done) for done in many] == [(0, 0, 2, 0)] * 4
    rows = [row("1", status="review", total="1.00"), row("2")]
    assert outcomes(await files.bring_in(timeless(*rows))) == (0, 2, 0, 0)
    assert (await bazaar.moved("1", "on_hold"))["total"] == dollars(1800)
    await bazaar.imported("2")
    assert outcomes(await files.bring_in(timeless(*rows))) == (0, 0, 2, 0)


async def test_the_same_orders_in_files_at_once_are_one_order_each(
    files: Files, bazaar: FakeConnection, seller: Seller
) -> None:
    content = csv_of([row(str(number)) for number in range(6)])
    done = await asyncio.gather(
        *(files.bring_in(content) for _ in range(4)), bazaar.send(*(bazaar.order(str(n)) for n in range(6)))
    )
    sums = [sum(each) for each in zip(*(outcomes(one) for one in done[:4]), strict=True)]
    assert (sums[0] + sums[2], sums[1], sums[3]) == (24, 0, 0)
    for number in range(6):
        order = await bazaar.imported(str(number))
        assert [entry["kind"] for entry in order["timeline"]].count("placed") == 1
    await reserved(seller, "MUG", 12)


@pytest.mark.feature("CAT-7")
async def test_an_order_is_taken_whole_or_not_at_all(
    files: Files, bazaar: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_files, "CHUNK_ROWS", 2)
    rows = [
        row("1"),
        line("2", quantity="1.5"),
        row("3"),
        row("2", total="18.00"),
        row("4", quantity="1", total="18.00"),
        line("4", quantity="1"),
        row("4", total="19.00", quantity="1"),
    ]
    done = await files.bring_in(rows)
    assert done["state"] == "succeeded"
    assert await files.remarks(done) == [
        (3, "quantity", "invalid_integer"),
        (5, None, "order_refused"),
        (6, None, "order_refused"),
        (7, None, "order_refused"),
        (8, "total", "rows_disagree"),
    ]
    assert await files.external_ids() == ["1", "3"]

    errors = await files.get(f"imports/{done['id']}/errors")
    assert errors.content.count(b"\n") == 6
    corrected = errors.content.replace(b",1.5,", b",1,").replace(b",19.00,", b",18.00,").replace(b"2,paid", b"2,paid")
    second = await files.bring_in(corrected, rerun_of=done["id"])
    assert (second["counters"]["errors"], outcomes(second)) == (0, (2, 0, 0, 0)), await files.remarks(second)
    assert await files.external_ids() == ["1", "2", "3", "4"]
    await bazaar.settled("2", "set_aside", "totals_differ")
    again = await files.client.post(f"/v1/imports/{done['id']}/rerun", headers=files.headers)
    assert again.status_code == 202, again.text
    failed = await files.finished(again.json()["id"])
    assert (failed["state"], failed["error"]["code"], failed["counters"]["errors"]) == ("failed", "nothing_imported", 5)


@pytest.mark.feature("CAT-7")
@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ({"quantity": "0"}, "quantity", "invalid_integer"),
        ({"quantity": "-2"}, "quantity", "invalid_integer"),
        ({"quantity": "1000001"}, "quantity", "invalid_integer"),
        ({"quantity": "9" * 30}, "quantity", "invalid_integer"),
        ({"quantity": ""}, "quantity", "missing_value"),
        ({"currency": "XXQ"}, "currency", "unknown_currency"),
        ({"currency": ""}, "currency", "missing_value"),
        ({"total": "-1"}, "total", "negative_price"),
        ({"total": "1.005"}, "total", "invalid_price"),
        ({"unit_price": "a lot"}, "unit_price", "invalid_price"),
        ({"unit_price": "9" * 20}, "unit_price", "invalid_price"),
        ({"placed_at": "2026-01-01T10:00:00"}, "placed_at", "invalid_moment"),
        ({"updated_at": ""}, "updated_at", "missing_value"),
        ({"is_paid": "perhaps"}, "is_paid", "invalid_boolean"),
        ({"is_paid": ""}, "is_paid", "missing_value"),
        ({"status": ""}, "status", "missing_value"),
        ({"status": "s" * 201}, "status", "invalid_value"),
        ({"customer_email": "nobody"}, "customer_email", "invalid_value"),
        ({"customer_name": ""}, "customer_name", "missing_value"),
        ({"country": "Utopia"}, "country", "invalid_value"),
        ({"sku": ""}, "sku", "missing_value"),
        ({"sku": "S" * 201}, "sku", "invalid_value"),
        ({"shipping_price": "1", "shipping_method": "by air!"}, "shipping_method", "invalid_value"),
        ({"shipping_price": "", "shipping_method": "by air!"}, "shipping_method", "invalid_value"),
        ({"discount": "1", "discount_name": "n" * 201}, "discount_name", "invalid_value"),
        ({"external_id": "e" * 201}, "external_id", "invalid_value"),
        ({"connection": "Nowhere"}, "connection", "unknown_connection"),
        ({"connection": str(new_id())}, "connection", "unknown_connection"),
    ],
)
async def test_a_cell_that_makes_no_sense_is_named(files: Files, cells: dict[str, str], column: str, code: str) -> None:
    done = await files.bring_in([row("1") | cells])
    assert (done["state"], done["error"]["code"]) == ("failed", "nothing_imported")
    assert await files.remarks(done) == [(2, column, code)]
    assert await files.external_ids() == []


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"total": "18.01"}, "totals_differ"),
        ({"currency": "EUR"}, "wrong_currency"),
        ({"is_paid": "no"}, "unpaid"),
        ({"status": "open"}, "status"),
        ({"quantity": "1000000", "unit_price": "9999999999"}, "totals_differ"),
    ],
)
async def test_what_a_connection_would_set_aside_waits_and_the_file_is_told(
    files: Files, bazaar: FakeConnection, cells: dict[str, str], reason: str
) -> None:
    tried = await files.bring_in([row("1", **cells)], dry_run=True)
    assert await files.remarks(tried, "notice") == [(2, None, reason)]
    done = await files.bring_in([row("1", **cells)])
    assert (outcomes(done), await files.remarks(done, "notice")) == ((1, 0, 0, 0), [(2, None, reason)])
    await bazaar.settled("1", "set_aside", reason)
    corrected = await files.bring_in([row("1", updated_at="2026-01-03")])
    assert outcomes(corrected) == (0, 1, 0, 0)
    await bazaar.imported("1")


@pytest.mark.feature("CAT-7")
async def test_who_stands_beside_a_row_that_cannot_be_read_is_not_taken(files: Files) -> None:
    lines = csv_of([row("1"), row("2"), row("3"), row("4"), line(""), row("5"), row("6")]).decode().splitlines()
    lines.insert(3, "3,broken")
    done = await files.bring_in("\n".join(lines).encode())
    assert await files.remarks(done) == [
        (3, None, "row_beside_unreadable"),
        (4, None, "too_few_fields"),
        (5, None, "row_beside_unreadable"),
        (6, None, "row_beside_unreadable"),
        (7, "external_id", "missing_value"),
        (8, None, "row_beside_unreadable"),
    ]
    assert await files.external_ids() == ["1", "6"]


@pytest.mark.feature("CAT-7")
async def test_an_order_of_more_rows_than_it_can_have_is_refused_whole(files: Files) -> None:
    rows = [row("big", quantity="1"), *(line("big", quantity="1") for _ in range(1000)), row("small")]
    done = await files.bring_in(rows)
    remarks = await files.remarks(done)
    assert (remarks[0], done["counters"]["errors"]) == ((2, "external_id", "too_many_lines"), 1001)
    assert await files.external_ids() == ["small"]


@pytest.mark.feature("CAT-7")
async def test_of_far_too_many_rows_one_bound_is_told(files: Files) -> None:
    """Beyond what an order can have its rows are not even held; whatever says so names the same number."""
    count = 5500
    done = await files.bring_in([row("big", quantity="1"), *(line("big") for _ in range(count - 1)), row("small")])
    assert done["counters"]["errors"] == count
    found = (await files.get(f"imports/{done['id']}/remarks", kind="error", first=200)).json()["items"]
    assert (found[0]["row"], found[0]["code"], found[0]["message"]) == (
        2,
        "too_many_lines",
        "An order has at most 1000 rows.",
    )
    errors = (await files.get(f"imports/{done['id']}/errors")).text
    assert errors.count("An order has at most 1000 rows.") == 1 + count - 1001
    assert errors.count("it is taken whole or not at all") == 1000
    assert "5000" not in errors
    assert await files.external_ids() == ["small"]


def test_what_is_kept_of_a_file_is_small_also_where_every_other_row_cannot_be_read() -> None:
    arrangement = order_files.OrderArrangement(0)
    orders = 130_000
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(orders):
            arrangement.learn(2 * number + 2, [f"order-{number}"])
            arrangement.learn(2 * number + 3, [""])
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept / orders < 52, "twice some 24 bytes"
    doubts = [arrangement.doubt_about(2 * number + 2) for number in range(orders)]
    assert doubts == [max(3, 2 * number + 1) for number in range(orders)]


async def test_files_that_cannot_be_meant_are_refused(files: Files, client: Client, seller: Seller) -> None:
    for without, code in (("total", "missing_headers"), ("external_id", "missing_headers")):
        done = await files.bring_in(csv_of([row("1")], without))
        assert (done["state"], done["error"]["code"]) == ("failed", code)
    for options, code in (
        ({"mode": "replace"}, "unsupported_mode"),
        ({"mode": "delete"}, "unsupported_mode"),
        ({"profile": "shopify"}, "unsupported_profile"),
        ({"shop": "nowhere"}, "shop_not_found"),
    ):
        refused = await files.start(csv_of([row("1")]), **options)
        assert refused.json()["code"] == code
    done = await files.bring_in([row("1")])
    undone = await client.post(f"/v1/imports/{done['id']}/undo", headers=files.headers)
    assert (undone.status_code, undone.json()["code"]) == (409, "undo_not_supported")
    assert not done["can_be_undone"]
    for scopes, status in (("orders:read", 403), ("catalog:write", 403), ("storefront", 403)):
        other = Files(files.connection, caller_of(seller.organization_id, scopes))
        assert (await other.start(csv_of([row("2")]))).status_code == status


async def test_the_file_says_which_connection_unless_there_is_one_only(
    files: Files, bazaar: FakeConnection, client: Client, seller: Seller
) -> None:
    other = await FakeConnection(client, seller).connect(name="Fair")
    done = await files.bring_in([row("1")])
    assert (done["state"], done["error"]["code"]) == ("failed", "order_connection_not_named")
    rows = [
        row("1", connection="Bazaar"),
        row("2", connection=other.id.upper()),
        line("2"),
        row("3", connection="Bazaar"),
        line("3", connection="Fair"),
        row("4", connection=""),
    ]
    done = await files.bring_in(rows)
    assert await files.remarks(done) == [
        (5, None, "order_refused"),
        (6, "connection", "rows_disagree"),
        (7, "connection", "missing_value"),
    ]
    assert (await bazaar.imported("1"))["source"]["connection_id"] == bazaar.id
    assert (await other.settled("2", "set_aside", "totals_differ"))["connection_id"] == other.id
    await FakeConnection(client, seller).connect(name="Fair")
    done = await files.bring_in([row("5", connection="Fair")])
    assert await files.remarks(done) == [(2, "connection", "ambiguous_connection")]


async def test_nobody_brings_orders_to_a_connection_of_others(
    files: Files, bazaar: FakeConnection, client: Client, process: topology.Surrounded, seller: Seller
) -> None:
    stranger = await Seller(process).open({"MUG": "10.00"})
    theirs = await FakeConnection(client, stranger).connect(name="Theirs")
    for named in (bazaar.id, "Bazaar"):
        done = await Files(theirs, theirs.caller).bring_in([row("1", connection=named)])
        assert await Files(theirs, theirs.caller).remarks(done) == [(2, "connection", "unknown_connection")]
    assert await files.external_ids() == []
    branch = await seller.open_shop("branch")
    limited = Files(bazaar, caller_of(seller.organization_id, "orders:write", shop_ids=[branch.id]))
    done = await limited.bring_in([row("1", connection=bazaar.id)])
    assert (done["state"], done["error"]["code"]) == ("failed", "order_connection_not_named"), "it has none"
    await FakeConnection(client, seller).connect(shop="branch", name="Branch")
    done = await limited.bring_in([row("1", connection=bazaar.id)])
    assert await limited.remarks(done) == [(2, "connection", "unknown_connection")]
    refused = await limited.start(csv_of([row("1")]), shop="main")
    assert (refused.status_code, refused.json()["code"]) == (404, "shop_not_found")
    both = Files(bazaar, caller_of(seller.organization_id, "orders:write", shop_ids=[branch.id, seller.shop.id]))
    refused = await both.start(csv_of([row("1")]))
    assert (refused.status_code, refused.json()["code"]) == (422, "shop_not_named")
    done = await both.bring_in([row("1")], shop="main")
    assert (outcomes(done), done["shop"]) == ((1, 0, 0, 0), "main")


@pytest.mark.feature("CAT-6")
async def test_modes_and_dry_runs(files: Files, bazaar: FakeConnection) -> None:
    await files.bring_in([row("1")])
    await bazaar.imported("1")
    rows = [row("1", status="review", updated_at="2026-01-03"), row("2", status="strange")]
    tried = await files.bring_in(rows, dry_run=True)
    assert outcomes(tried) == (1, 1, 0, 0)
    samples = (await files.get(f"imports/{tried['id']}/samples")).json()["items"]
    told = {each["name"]: {field["field"]: field["after"] for field in each["fields"]} for each in samples}
    assert told["1"] == {"status": "review", "action": "import_and_hold"}
    assert told["2"]["total"] == "18.00 USD"
    assert await files.external_ids() == ["1"]
    assert (await bazaar.imported("1"))["status"] == "processing"
    only_new = await files.bring_in(rows, mode="insert-only", dry_run=True)
    assert outcomes(only_new) == (1, 0, 0, 1)
    skipped = (await files.get(f"imports/{only_new['id']}/samples", kind="skip")).json()["items"]
    assert [each["name"] for each in skipped] == ["1"]
    assert outcomes(await files.bring_in(rows, mode="update-only")) == (0, 1, 0, 1)
    await bazaar.moved("1", "on_hold")
    assert await files.external_ids() == ["1"]
    rows[0] |= {"status": "paid", "updated_at": "2026-01-04"}
    assert outcomes(await files.bring_in(rows, mode="insert-only")) == (1, 0, 0, 1)
    assert (await bazaar.known("1"))["status"] == "review"
    aborted = await files.bring_in([row("3"), row("4", quantity="0")], on_error="abort")
    assert (aborted["state"], aborted["error"]["code"]) == ("failed", "import_aborted")
    assert await files.external_ids() == ["1", "2"]
    applied = await files.client.post(f"/v1/imports/{tried['id']}/apply", headers=files.headers)
    assert applied.status_code == 202, applied.text
    done = await files.finished(applied.json()["id"])
    assert outcomes(done) == (0, 0, 2, 0), "both are known by now, and newer or the same"


async def test_the_formats_and_the_template(files: Files, bazaar: FakeConnection, seller: Seller) -> None:
    typed: dict[str, Any] = {**row("n1"), "is_paid": True, "quantity": 2, "unit_price": 9, "total": 18.0}
    lines = b"\n".join(orjson.dumps(each) for each in (typed, line("n1", sku="CUP", unit_price="0")))
    assert outcomes(await files.bring_in(lines)) == (1, 0, 0, 0)
    assert len((await bazaar.imported("n1"))["lines"]) == 2
    semicolons = csv_of([row("c1")]).replace(b",", b";").decode().encode("utf-16")
    assert outcomes(await files.bring_in(semicolons)) == (1, 0, 0, 0)
    await seller.price({"SCARF-RED": "29.90", "SCARF-BLUE": "32.90"})
    await seller.stocked({"SCARF-RED": 5, "SCARF-BLUE": 5})
    catalog = caller_of(seller.organization_id, "catalog:read")
    for name in ("csv", "xlsx"):
        path = f"/v1/import-templates/crossdock?group=orders&format={name}"
        template = await files.client.get(path, headers=files.client.speaking_as(catalog))
        assert template.status_code == 200, template.text
        done = await files.bring_in(template.content)
        assert (done["counters"]["rows"], done["counters"].get("errors"), done["counters"].get("notices")) == (2, 0, 0)
        assert sum(outcomes(done)[::2]) == 1
    assert (await bazaar.imported("5001"))["total"] == dollars(9470)


def dies_after_two_chunks(
    monkeypatch: pytest.MonkeyPatch, seller: Seller, *, committed: bool, before_it_goes_on: Callable[[], None]
) -> None:
    """Kill the worker of the next job around its second chunk's commit, and have the job taken up again."""
    save, end = RunningJob._save, RunningJob.end
    killed: list[str] = []

    def die() -> None:
        raise RuntimeError("killed here")

    async def saving(job: RunningJob, uow: UnitOfWork, state: str = "running", error: Any = None) -> None:
        await save(job, uow, state, error)
        if job.checkpoint.get("chunks") == 2 and not killed:
            killed.append(str(job.id))
            if not committed:
                die()
            uow.when_committed(die)

    async def ending(job: RunningJob, state: str, error: Any = None) -> None:
        if state == "failed" and killed:
            before_it_goes_on()
            # What happens by itself thirty seconds after a worker was killed.
            uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
            await uow.execute("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1", job.id)
            await uow.commit()
        else:
            await end(job, state, error)

    monkeypatch.setattr(RunningJob, "_save", saving)
    monkeypatch.setattr(RunningJob, "end", ending)


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize("after", [False, True], ids=["before-commit", "after-commit"])
async def test_killed_between_chunks_nothing_is_done_twice(
    files: Files, seller: Seller, bazaar: FakeConnection, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    monkeypatch.setattr(order_files, "CHUNK_ROWS", 2)
    kills: list[None] = []
    dies_after_two_chunks(monkeypatch, seller, committed=after, before_it_goes_on=lambda: kills.append(None))
    done = await files.bring_in(csv_of([row(str(n)) for n in range(8)]))
    assert (done["state"], outcomes(done), done["counters"]["rows"]) == ("succeeded", (8, 0, 0, 0), 8)
    assert len(kills) == 1
    for number in range(8):
        order = await bazaar.imported(str(number))
        assert [entry["kind"] for entry in order["timeline"]].count("placed") == 1
    await reserved(seller, "MUG", 16)


@pytest.mark.feature("ORD-6")
async def test_who_was_forgotten_does_not_come_back_with_a_file(files: Files, bazaar: FakeConnection) -> None:
    person = {"customer_email": "zephyrine@example.com", "customer_name": "Zephyrine Quill"}
    content = csv_of([row("1", status="done", **person), row("2", status="open", **person)], "updated_at")
    await files.bring_in(content)
    await bazaar.imported("1")
    waiting = await bazaar.settled("2", "set_aside", "status")
    reason = {"reason": "asked"}
    await files.client.post(f"/v1/imported-orders/{waiting['id']}/give-up", json=reason, headers=files.headers)
    found = (await files.get("customers", email=person["customer_email"])).json()["items"]
    erased = await files.client.post(f"/v1/customers/{found[0]['id']}/erase", json=reason, headers=files.headers)
    assert erased.status_code == 200, erased.text
    assert outcomes(await files.bring_in(content)) == (0, 0, 2, 0)
    uow = bazaar.seller.process.surroundings.unit_of_work(
        "orders", service_envelope("orders", bazaar.seller.organization_id)
    )
    kept = await uow.fetchval("SELECT count(*) FROM imported_orders i WHERE lower(i::text) LIKE '%zephyrine%'")
    await uow.rollback()
    assert kept == 0


async def test_many_rows_are_taken_in_few_statements(
    files: Files, bazaar: FakeConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What becomes of the orders is told later and one by one; keeping a chunk takes as few statements as of one order.

    Counted are all that a transaction sends to its connection, for each transaction that keeps orders.
    """
    transactions: list[list[str]] = []
    opened, finished = UnitOfWork._open, UnitOfWork._finish
    counters: dict[UnitOfWork, Callable[[Any], None]] = {}

    async def opening(uow: UnitOfWork) -> None:
        await opened(uow)
        statements: list[str] = []

        def count(sent: Any) -> None:
            # Of `executemany` one for each row.
            statements.extend([sent.query] * (len(sent.args) if isinstance(sent.args, list) else 1))

        transactions.append(statements)
        counters[uow] = count
        uow._connection.add_query_logger(count)

    async def finishing(uow: UnitOfWork, statement: str) -> None:
        if uow in counters:
            uow._connection.remove_query_logger(counters.pop(uow))
        await finished(uow, statement)

    def keeping() -> list[int]:
        """How many statements each transaction took that kept orders since this was asked last."""
        kept = [len(each) for each in transactions if any("INSERT INTO imported_orders" in one for one in each)]
        transactions.clear()
        return kept

    monkeypatch.setattr(UnitOfWork, "_open", opening)
    monkeypatch.setattr(UnitOfWork, "_finish", finishing)
    await files.bring_in(csv_of([row("alone", status="draft")]))
    (of_one,) = keeping()
    rows = [row(f"{n}", status="draft") if half else line(f"{n}") for half in (1, 0) for n in range(3000)]
    done = await files.bring_in(csv_of(rows))
    assert (outcomes(done), done["counters"]["rows"]) == ((3000, 0, 0, 0), 6000)
    counts = keeping()
    assert (len(counts), max(counts) <= of_one + 2) == (3, True), (of_one, counts)
    again = await files.bring_in(csv_of(rows))
    assert outcomes(again) == (0, 0, 3000, 0)
    counts = keeping()
    assert (len(counts), max(counts) <= of_one + 2) == (3, True), (of_one, counts)


async def test_a_large_file_does_not_fill_the_queue(
    files: Files, bazaar: FakeConnection, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_files, "AT_ONCE", 5)
    monkeypatch.setattr(order_files, "EACH_SECOND", 0.001)
    monkeypatch.setattr(order_files, "CHUNK_ROWS", 4)
    done = await files.bring_in([row(f"{n}") for n in range(9)])
    assert outcomes(done) == (9, 0, 0, 0)
    for number in range(6):
        await bazaar.imported(str(number))
    now = clock.now()
    assert [due > now + timedelta(minutes=10) for due in await due_times(seller)] == [True] * 3


async def due_times(seller: Seller) -> list[datetime]:
    """When the orders that wait are absorbed, the next first."""
    uow = seller.process.surroundings.unit_of_work("orders", service_envelope("orders", seller.organization_id))
    waiting = await uow.fetch("SELECT due_at FROM tasks WHERE kind = 'orders.take_imported' ORDER BY due_at")
    await uow.rollback()
    return [each["due_at"] for each in waiting]


@pytest.mark.feature("OPS-5")
async def test_a_job_that_goes_on_after_a_pause_keeps_its_pace(
    files: Files, bazaar: FakeConnection, seller: Seller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were due in the pause are not made up for: the others come one by one from then on."""
    monkeypatch.setattr(order_files, "AT_ONCE", 2)
    monkeypatch.setattr(order_files, "EACH_SECOND", 1 / 600)
    monkeypatch.setattr(order_files, "CHUNK_ROWS", 2)
    passed: list[timedelta] = []

    def later() -> datetime:
        return datetime.now(UTC) + sum(passed, timedelta())

    with clock.replaced(later):
        dies_after_two_chunks(
            monkeypatch, seller, committed=True, before_it_goes_on=lambda: passed.append(timedelta(days=1))
        )
        began = later()
        done = await files.bring_in(csv_of([row(str(n)) for n in range(8)]))
        assert (done["state"], outcomes(done), len(passed)) == ("succeeded", (8, 0, 0, 0), 1)
        for number in range(3):
            await bazaar.imported(str(number))
        minutes = [(due - began) / timedelta(minutes=1) for due in await due_times(seller)]
    day = 24 * 60
    expected = [10, *(day + wait for wait in (0, 10, 20, 30))]
    assert minutes == pytest.approx(expected, abs=5)


@pytest.mark.feature("CAT-7", "ORD-5")
async def test_what_is_wrong_with_a_cell_is_said_as_everywhere(files: Files) -> None:
    done = await files.bring_in([row("1") | {"customer_email": "nobody"}])
    (remark,) = (await files.get(f"imports/{done['id']}/remarks", kind="error", first=200)).json()["items"]
    assert "It does not have the form it needs" in remark["message"]
    assert "pattern" not in remark["message"]
