"""Stock checks through REST and GraphQL: a counted file in, the report out, differences applied by the workers."""

from typing import Any

import pytest

from deploy import topology
from shared.identifiers import new_id
from tests.doors import Client, caller_of, eventually
from tests.factories.inventory import Merchant

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
        (b"", {}, 422, "empty_count"),
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
