"""Stock checks through REST and GraphQL: a counted file in, the report out, differences applied by the workers."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from deploy import topology
from services.inventory.use_cases.importing import IMPORTING
from shared import blobs
from shared.bus.envelope import service_envelope
from shared.contracts.platform.imports import import_id_for
from shared.identifiers import new_id
from shared.imports import keeping
from shared.settings import settings
from tests.doors import Client, caller_of, eventually
from tests.factories.inventory import Merchant
from tests.services.catalog.test_import_doors import serving

pytestmark = pytest.mark.feature("INV-7", "GAT-1", "GAT-2")

PATH = "/v1/stock-checks"


@pytest.fixture
async def owner(process: topology.Surrounded) -> Merchant:
    owner = Merchant(process)
    await owner.open_shop()
    await owner.stocked({"A": 10, "B": 5, "C": 1})
    return owner


async def compared(client: Client, headers: dict[str, str], check_id: str, state: str = "compared") -> Any:
    async def look() -> Any:
        check = (await client.get(f"{PATH}/{check_id}", headers=headers)).json()
        assert check["state"] == state, check
        return check

    return await eventually(look)


async def test_a_counted_file_becomes_a_report_and_corrections(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(caller_of(owner.organization_id, "inventory:write", "inventory:read"))
    content = b"SKU;Counted\nA;8\nB;5\nNOWHERE;2\n"
    sent = headers | {"Content-Type": "text/csv", "X-File-Name": "aisle%201.csv", "Idempotency-Key": new_id().hex}
    params: dict[str, Any] = {"centre": "main", "note": "aisle 1", "guard_percent": 30}
    began = await client.post(f"{PATH}/upload", content=content, params=params, headers=sent)
    assert began.status_code == 202, began.text
    check = began.json()
    assert (check["file_name"], check["note"], check["guard_percent"]) == ("aisle 1.csv", "aisle 1", 30)
    assert began.headers["location"] == f"/v1/jobs/{check['job_id']}"
    again = await client.post(f"{PATH}/upload", content=content, params=params, headers=sent)
    assert again.json()["id"] == check["id"]
    other = await client.post(f"{PATH}/upload", content=content + b"C;1\n", params=params, headers=sent)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    report = await compared(client, headers, check["id"])
    assert {name: report["counts"][name] for name in ("rows", "equal", "differing", "refused", "under")} == {
        "rows": 3, "equal": 1, "differing": 1, "refused": 1, "under": 2,
    }  # fmt: skip
    rows = (await client.get(f"{PATH}/{check['id']}/rows", params={"state": "differs"}, headers=headers)).json()
    assert [(row["sku"], row["counted"], row["booked"], row["winner"]) for row in rows["items"]] == [
        ("A", 8, 10, "count")
    ]
    file = await client.get(f"{PATH}/{check['id']}/file", headers=headers)
    assert file.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[1] for line in file.text.splitlines()] == ["sku", "A", "B", "NOWHERE"]
    body = {"skus": ["A"], "reason": "counted in spring"}
    applying = await client.post(f"{PATH}/{check['id']}/apply", json=body, headers=headers)
    assert applying.status_code == 202, applying.text
    assert applying.headers["location"] == f"/v1/jobs/{applying.json()['apply_job_id']}"
    await compared(client, headers, check["id"], "applied")
    assert (await owner.level("A")).on_hand == 8
    job = (
        await client.get(f"/v1/jobs/{applying.json()['apply_job_id']}", headers=client.speaking_as(owner.caller))
    ).json()
    assert (job["progress"], job["counters"]) == ({"done": 1, "total": 1}, {"applied": 1})


async def test_rows_are_checked_and_listed(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    rows = [{"sku": "A", "counted": 10}, {"sku": "B", "counted": 6}]
    began = await client.post(PATH, json={"rows": rows, "counted_at": "2030-01-01T00:00:00Z"}, headers=headers)
    assert (began.status_code, began.json()["code"]) == (422, "counted_in_future")
    began = await client.post(PATH, json={"rows": rows, "uncounted": "zero"}, headers=headers)
    assert began.status_code == 202, began.text
    check = await compared(client, headers, began.json()["id"])
    assert (check["counts"]["uncounted"], check["counts"]["differing"]) == (1, 2)
    listed = (await client.get(PATH, params={"centre": "main"}, headers=headers)).json()["items"]
    assert [each["id"] for each in listed] == [check["id"]]
    refused = await client.post(f"{PATH}/{check['id']}/apply", json={"every_row": True, "reason": "x"}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_much_zeroed")
    assert refused.json()["errors"] == [{"zeroed": 1, "stocked": 3, "guard_percent": 20}]


@pytest.mark.parametrize(
    ("content", "params", "status", "code"),
    [
        (b"", {}, 422, "empty_upload"),
        (b"sku;counted\nA;1\n", {"centre": "moon"}, 404, "centre_not_found"),
        (b"sku;counted\nA;1\n", {"format": "docx"}, 422, "unknown_format"),
        (b"sku;counted\nA;1\n", {"guard_percent": "101"}, 422, "validation_failed"),
        (b"sku;counted\nA;1\n", {"counted_at": "2026-01-01T00:00:00"}, 422, "validation_failed"),
        (b"sku;counted\nA;1\n", {"uncounted": "perhaps"}, 422, "validation_failed"),
        (b"sku;counted\nA;1\n", {"dry_run": "true"}, 422, "unknown_parameter"),
    ],
)
async def test_a_file_that_cannot_be_taken(
    client: Client, owner: Merchant, content: bytes, params: dict[str, str], status: int, code: str
) -> None:
    headers = client.speaking_as(owner.caller)
    answer = await client.post(f"{PATH}/upload", content=content, params=params, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.feature("CAT-5")
async def test_a_counted_file_comes_as_multipart_or_as_an_array_of_rows(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    file = {"file": ("C:\\counts\\aisle 2.csv", b"sku;counted\nA;8\nB;5\n", "text/csv")}
    began = await client.post(f"{PATH}/upload", files=file, headers=headers | {"Idempotency-Key": new_id().hex})
    assert began.status_code == 202, began.text
    check = await compared(client, headers, began.json()["id"])
    assert (check["file_name"], check["counts"]["rows"], check["counts"]["differing"]) == ("aisle 2.csv", 2, 1)
    began = await client.post(f"{PATH}/upload", json=[{"sku": "A", "counted": 9}], headers=headers)
    assert began.status_code == 202, began.text
    check = await compared(client, headers, began.json()["id"])
    assert (check["file_name"], check["counts"]["under"]) == (None, 1)
    refused = await client.post(f"{PATH}/upload", files={"other": ("a.csv", b"x")}, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed_upload")


@pytest.mark.feature("CAT-5")
async def test_a_counted_file_of_more_than_a_bulk_body_is_taken(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    # More than 32 MiB, in rows that name no SKU anybody could have.
    rows = (b"X" * 100_000 + b";1\n") * 10

    async def body() -> AsyncIterator[bytes]:
        yield b"sku;counted\nA;8\n"
        for _ in range(34):
            yield rows

    began = await client.post(f"{PATH}/upload", content=body(), headers=headers)
    assert began.status_code == 202, began.text
    check = await compared(client, headers, began.json()["id"])
    assert (check["counts"]["rows"], check["counts"]["refused"], check["counts"]["under"]) == (341, 340, 2)


@pytest.mark.feature("CAT-5")
async def test_a_counted_file_is_fetched_from_its_address(
    client: Client, owner: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "fetch_private", True)
    headers = client.speaking_as(owner.caller)
    content = b"sku;counted\nA;8\nB;5\n"
    async with serving({"/counts/hall.csv": ("200 OK", {"Content-Length": str(len(content))}, content)}) as address:
        began = await client.post(f"{PATH}/upload", json={"url": f"{address}/counts/hall.csv"}, headers=headers)
        assert began.status_code == 202, began.text
        check = await compared(client, headers, began.json()["id"])
        assert (check["file_name"], check["counts"]["under"]) == ("hall.csv", 2)
        asked = await client.post(
            "/graphql",
            json={
                "query": "mutation($url: String!) { startStockCheckFromUrl(url: $url) {"
                " ... on StockCheck { uuid state } ... on Problem { code } } }",
                "variables": {"url": f"{address}/nothing"},
            },
            headers=headers,
        )
        failed = await compared(client, headers, asked.json()["data"]["startStockCheckFromUrl"]["uuid"], "failed")
        assert failed["error"]["code"] == "file_not_fetched"


@pytest.mark.feature("CAT-5")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b'{"url": 5}', 422, "validation_failed"),
        (b'{"url": "https://a.example/b", "more": 1}', 422, "validation_failed"),
        (b'{"url": "ftp://a.example/b"}', 422, "invalid_url"),
        (b'{"url": "https://me:secret@a.example/b"}', 422, "invalid_url"),
    ],
)
async def test_an_address_that_is_none_is_refused(
    client: Client, owner: Merchant, body: bytes, status: int, code: str
) -> None:
    headers = client.speaking_as(owner.caller) | {"Content-Type": "application/json"}
    answer = await client.post(f"{PATH}/upload", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await client.get(PATH, headers=headers)).json()["items"] == []


@pytest.mark.feature("CAT-5")
async def test_addresses_inside_our_network_are_not_asked(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)
    async with serving({"/": ("200 OK", {}, b"sku;counted\nA;8\n")}) as address:
        began = await client.post(f"{PATH}/upload", json={"url": address}, headers=headers)
        failed = await compared(client, headers, began.json()["id"], "failed")
    assert failed["error"]["code"] == "file_not_fetched"


@pytest.mark.feature("CAT-9", "INV-3")
async def test_files_that_came_in_are_kept_for_their_time(
    client: Client, owner: Merchant, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of stock checks and of imports alike; what nothing names goes, what other services imported stays."""
    headers = client.speaking_as(owner.caller)
    check = (await client.post(f"{PATH}/upload", content=b"sku;counted\nA;8\n", headers=headers)).json()
    await compared(client, headers, check["id"])
    imported = (
        await client.post("/v1/imports?group=stock", content=b"sku,on_hand\nA,4\nB,x\n", headers=headers)
    ).json()

    async def is_over() -> Any:
        return (await client.get(f"/v1/imports/{imported['id']}", headers=headers)).json()["finished_at"]

    await eventually(is_over)
    await blobs.put(owner.organization_id, f"stock-checks/{new_id()}/left", b"1")
    await blobs.put(owner.organization_id, f"imports/{import_id_for('products')}/other", b"2")
    await sweep(process)
    kept = await files_of(owner)
    assert sorted(key.split("/")[0] for key in kept) == ["imports", "imports", "imports", "stock-checks"]
    for path in ("file", "errors"):
        assert (await client.get(f"/v1/imports/{imported['id']}/{path}", headers=headers)).status_code == 200

    monkeypatch.setattr(settings(), "file_retention", timedelta(seconds=-5))
    await sweep(process)
    assert await files_of(owner) == kept, "marked first, and removed when nobody can be about to read them"
    for verb, path in (("GET", "file"), ("GET", "errors"), ("POST", "rerun")):
        answer = await client.request(verb, f"/v1/imports/{imported['id']}/{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "import_file_not_there"), path
    monkeypatch.setattr(keeping, "_AFTER_MARK", timedelta(seconds=-5))
    await sweep(process)
    (left,) = await files_of(owner)
    assert left.endswith("/other")
    # The report outlives its file.
    assert (await compared(client, headers, check["id"]))["counts"]["under"] == 2
    rows = (await client.get(f"{PATH}/{check['id']}/rows", headers=headers)).json()["items"]
    assert [row["sku"] for row in rows] == ["A"]


async def sweep(process: topology.Surrounded) -> None:
    """What the schedule of inventory does, for files of any age."""
    for kept in (keeping.IMPORTS, *IMPORTING.also_kept):
        uow = process.surroundings.unit_of_work("inventory", service_envelope("inventory", None), across_tenants=True)
        await keeping.mark_old(uow, kept)
        await keeping.remove_marked(uow, kept, unnamed=timedelta(seconds=-5))
        await uow.commit()


async def files_of(owner: Merchant) -> list[str]:
    found: list[str] = []

    async def look(organization_id: UUID, keys: Sequence[str]) -> Sequence[str]:
        found.extend(keys if organization_id == owner.organization_id else ())
        return keys

    for folder in ("imports", "stock-checks"):
        await blobs.sweep(folder, timedelta(seconds=-5), look)
    return found


async def test_scopes_and_tenants(client: Client, owner: Merchant) -> None:
    reader = client.speaking_as(caller_of(owner.organization_id, "inventory:read"))
    rows = {"rows": [{"sku": "A", "counted": 1}]}
    for path, sent in ((PATH, {"json": rows}), (f"{PATH}/upload", {"content": b"sku;counted\nA;1\n"})):
        answer = await client.post(path, headers=reader, **sent)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    check = (await client.post(PATH, json=rows, headers=client.speaking_as(owner.caller))).json()
    answer = await client.post(f"{PATH}/{check['id']}/apply", json={"every_row": True, "reason": "x"}, headers=reader)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    stranger = client.speaking_as(caller_of(new_id()))
    assert (await client.get(PATH, headers=stranger)).json()["items"] == []
    for path in (f"{PATH}/{check['id']}", f"{PATH}/{check['id']}/rows", f"{PATH}/{check['id']}/file"):
        answer = await client.get(path, headers=stranger)
        assert (answer.status_code, answer.json()["code"]) == (404, "stock_check_not_found")


async def test_graphql_checks_and_applies(client: Client, owner: Merchant) -> None:
    headers = client.speaking_as(owner.caller)

    async def told(query: str, **variables: Any) -> Any:
        answer = await client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]

    start = (
        'mutation($rows: [JSON!]!) { startStockCheck(rows: $rows, centre: "main") {'
        " ... on StockCheck { rawId: id state } ... on Problem { code } } }"
    )
    rows = [{"sku": "A", "counted": 7}, {"sku": "B", "counted": "x"}]
    started = (await told(start, rows=rows))["startStockCheck"]
    assert started["state"] == "COMPARING", started
    (check,) = (await client.get(PATH, headers=headers)).json()["items"]
    await compared(client, headers, check["id"])
    report = (
        "query($id: UUID!) { stockCheck(checkId: $id) { state counts { differing refused } }"
        " stockCheckRows(checkId: $id) { edges { node { sku counted booked difference code } } }"
        " stockCheckSheet(checkId: $id) { csv } }"
    )
    found = await told(report, id=check["id"])
    assert found["stockCheck"] == {"state": "COMPARED", "counts": {"differing": 1, "refused": 1}}
    assert [edge["node"] for edge in found["stockCheckRows"]["edges"]] == [
        {"sku": "A", "counted": 7, "booked": 10, "difference": -3, "code": None},
        {"sku": "B", "counted": None, "booked": None, "difference": None, "code": "invalid_integer"},
    ]
    assert found["stockCheckSheet"]["csv"].count("\n") == 3
    apply = (
        'mutation($id: UUID!, $skus: [String!]) { applyStockCheck(checkId: $id, skus: $skus, reason: "shelf 4") {'
        " ... on StockCheck { state } ... on Problem { code errors } } }"
    )
    refused = (await told(apply, id=check["id"], skus=["B"]))["applyStockCheck"]
    assert refused["code"] == "rows_not_applicable"
    applying = (await told(apply, id=check["id"], skus=["A"]))["applyStockCheck"]
    assert applying["state"] == "APPLYING", applying
    await compared(client, headers, check["id"], "applied")
    assert (await owner.level("A")).on_hand == 7
