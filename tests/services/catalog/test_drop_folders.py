"""Files that are laid into a shop's folder."""

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

from deploy import topology
from services.catalog.use_cases import drop_folders
from shared.bus.envelope import envelope_for, service_envelope
from shared.contracts.accounts.events import ShopChanged
from shared.contracts.accounts.lists import ListAlerts
from shared.impex.workbook_file import write_sheets
from shared.settings import settings
from tests.doors import Client, caller_of, eventually
from tests.factories.catalog import Catalog, a_shop, csv_file, shopify_row
from tests.services.catalog.test_doors import Shopkeeper

pytestmark = pytest.mark.feature("CAT-5", "CAT-9")


@pytest.fixture
async def keeper(
    client: Client, process: topology.Surrounded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shopkeeper:
    """A shop with a folder; this test looks into it, and no schedule does."""
    monkeypatch.setattr(settings(), "drop_folder", tmp_path / "drop")
    monkeypatch.setattr(settings(), "drop_settle_seconds", 0)
    monkeypatch.setattr(drop_folders, "_organizations", list)
    catalog = Catalog(process)
    made = Shopkeeper(client, catalog, caller_of(catalog.organization_id))
    await catalog.open_shop()
    folder_of(made).mkdir(parents=True)
    return made


def folder_of(keeper: Shopkeeper, shop: str = "main") -> Path:
    return drop_folders.root() / str(keeper.catalog.organization_id) / shop


def drop(keeper: Shopkeeper, name: str, content: bytes, age: int = 60) -> Path:
    path = folder_of(keeper) / name
    path.write_bytes(content)
    moment = time.time() - age
    os.utime(path, (moment, moment))
    return path


async def look(keeper: Shopkeeper, times: int = 2) -> None:
    for _ in range(times):
        await keeper.catalog.perform(drop_folders.TASK, {})


async def rules(keeper: Shopkeeper, *given: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = await keeper.ask("PUT", "drop-folders", 200, json={"shop": "main", "rules": list(given)})
    return found


async def imports(keeper: Shopkeeper) -> list[dict[str, Any]]:
    rows = await keeper.catalog.rows("SELECT id FROM imports ORDER BY created_at, id")
    return [await keeper.finished(str(row["id"])) for row in rows]


async def alerts(keeper: Shopkeeper) -> list[Any]:
    return (await keeper.catalog.process.bus.ask(ListAlerts(), envelope_for(keeper.caller))).items


async def test_rules_are_set_and_listed_through_both_doors(keeper: Shopkeeper, client: Client) -> None:
    folder = await rules(keeper, {"pattern": "prices-*.csv", "group": "prices"}, {"pattern": "*.csv", "reindex": True})
    assert folder["path"] == f"{keeper.catalog.organization_id}/main"
    assert [rule["pattern"] for rule in folder["rules"]] == ["prices-*.csv", "*.csv"]
    assert (await keeper.ask("GET", "drop-folders", 200))["items"] == [folder]
    made = await keeper.graphql(
        'mutation { setDropFolder(shop: "main", rules: [{pattern: "*.txt", mode: REPLACE}]) {'
        " ... on DropFolder { shop rules { pattern mode group } } ... on Problem { code } } }"
    )
    assert made["setDropFolder"]["rules"] == [{"pattern": "*.txt", "mode": "REPLACE", "group": "products"}]
    seen = await keeper.graphql("{ dropFolders { nodes { shop path } } }")
    assert seen["dropFolders"]["nodes"] == [{"shop": "main", "path": folder["path"]}]
    for body, status, code in (
        ({"shop": "none", "rules": []}, 404, "shop_not_found"),
        ({"shop": "main", "rules": [{"pattern": "*", "group": "nonsense"}]}, 422, "validation_failed"),
        ({"shop": "main", "rules": [{"pattern": "../*"}]}, 422, "validation_failed"),
        ({"shop": "main", "rules": [{"pattern": "*", "mode": "nonsense"}]}, 422, "validation_failed"),
        ({"shop": "main", "rules": [{"pattern": ""}]}, 422, "validation_failed"),
    ):
        assert await keeper.code("PUT", "drop-folders", status, json=body) == code
    for odd, code in (
        ({"format": "ods"}, "unknown_format"),
        ({"encoding": "klingon"}, "unknown_encoding"),
        ({"delimiter": "x"}, "invalid_delimiter"),
    ):
        body = {"shop": "main", "rules": [{"pattern": "*"}, {"pattern": "*", **odd}]}
        assert await keeper.code("PUT", "drop-folders", 422, json=body) == code
    assert (await keeper.ask("GET", "drop-folders", 200))["items"][0]["rules"][0]["pattern"] == "*.txt"
    reader = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    assert await reader.code("PUT", "drop-folders", 403, json={"shop": "main", "rules": []}) == "missing_scope"


async def test_a_complete_file_is_taken_by_the_first_rule_that_fits_and_moved_aside(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "PRICES*", "group": "prices"}, {"pattern": "*.csv", "profile": "shopify"})
    drop(keeper, "goods.csv", csv_file([shopify_row("a")]))
    await look(keeper, 1)
    assert await imports(keeper) == [], "one look cannot tell whether it still grows"
    await look(keeper, 1)
    (first,) = await imports(keeper)
    assert (first["state"], first["origin"], first["origin_detail"]) == ("succeeded", "drop_folder", "main/goods.csv")
    assert (first["shop"], first["profile"], first["file_name"]) == ("main", "shopify", "goods.csv")
    assert first["requested_by"]["kind"] == "service"
    assert [path.name for path in (folder_of(keeper) / "done").iterdir()] == [f"{first['id']}-goods.csv"]
    drop(keeper, "prices of today.csv", b"sku,price\nA,7.00\n")
    await look(keeper)
    _, second = await imports(keeper)
    assert (second["group"], second["counters"]["prices_updated"]) == ("prices", 1)
    await look(keeper)
    assert len(await imports(keeper)) == 2


async def test_a_rule_says_how_its_files_are_read(keeper: Shopkeeper) -> None:
    """A file that reads itself otherwise, and a sheet that is not the first."""
    folder = await keeper.graphql(
        'mutation { setDropFolder(shop: "main", rules: [{pattern: "*.txt", format: "csv", encoding: "cp850",'
        ' delimiter: "pipe"}, {pattern: "*.xlsx", sheet: "Goods"}]) { ... on DropFolder {'
        " rules { format encoding delimiter sheet } } ... on Problem { code detail } } }"
    )
    assert folder["setDropFolder"]["rules"] == [
        {"format": "csv", "encoding": "cp850", "delimiter": "pipe", "sheet": None},
        {"format": None, "encoding": None, "delimiter": None, "sheet": "Goods"},
    ]
    drop(keeper, "1.txt", "Handle|Title|a;b;c;d\na|Größe|1;2;3;4\n".encode("cp850"), age=90)
    sheets = {"Notes": [["Nothing"], ["here"]], "Goods": [["Handle", "Title"], ["b", "Beanie"]]}
    workbook = io.BytesIO()
    write_sheets(sheets, workbook)
    drop(keeper, "2.xlsx", workbook.getvalue(), age=60)
    await look(keeper)
    await imports(keeper)
    await look(keeper)
    taken = await imports(keeper)
    said = [{name: each[name] for name in ("state", "format", "encoding", "delimiter", "sheet")} for each in taken]
    assert said == [
        {"state": "succeeded", "format": "csv", "encoding": "cp850", "delimiter": "pipe", "sheet": None},
        {"state": "succeeded", "format": None, "encoding": None, "delimiter": None, "sheet": "Goods"},
    ]
    found = (await keeper.ask("GET", "products", 200))["items"]
    assert {product["title"] for product in found} == {"Größe", "Beanie"}


async def test_stock_goes_to_its_own_service(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "stock*", "group": "stock"})
    drop(keeper, "stock.csv", b"sku,on_hand\nA,4\n")
    await look(keeper)

    async def is_in() -> Any:
        return (await keeper.ask("GET", "imports?group=stock&state=succeeded", 200))["items"]

    (taken,) = await eventually(is_in)
    assert (taken["service"], taken["origin"], taken["shop"]) == ("inventory", "drop_folder", None)


async def test_what_is_not_complete_is_left(
    keeper: Shopkeeper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await rules(keeper, {"pattern": "*"})
    growing = drop(keeper, "growing.csv", b"Handle\n")
    for name in ("goods.csv.part", ".hidden.csv", "upload.filepart", "goods.csv~"):
        drop(keeper, name, b"Handle,Title\na,b\n")
    drop(keeper, "empty.csv", b"")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(b"Handle,Title\nsecret,Secret\n")
    (folder_of(keeper) / "link.csv").symlink_to(secret)
    (folder_of(keeper) / "folder.csv").mkdir()
    os.mkfifo(folder_of(keeper) / "pipe.csv")
    for _ in range(3):
        await look(keeper, 1)
        growing.write_bytes(growing.read_bytes() + b"a,b\n")
    monkeypatch.setattr(settings(), "drop_settle_seconds", 3600)
    await look(keeper)
    assert await imports(keeper) == []
    assert (folder_of(keeper) / "goods.csv.part").exists()


async def test_files_come_one_after_the_other_in_the_order_of_their_times(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "*.csv"})
    drop(keeper, "goods-20260302.csv", csv_file([shopify_row("a", title="Third")]), age=900)
    drop(keeper, "goods-2026-03-01T1200.csv", csv_file([shopify_row("a", title="Second")]), age=10)
    drop(keeper, "goods-20260301.csv", csv_file([shopify_row("a", title="First")]), age=500)
    await look(keeper)
    taken: list[str] = []
    for _ in range(3):
        await imports(keeper)
        await look(keeper, 1)
    taken = [each["file_name"] for each in await imports(keeper)]
    assert taken == ["goods-20260301.csv", "goods-2026-03-01T1200.csv", "goods-20260302.csv"]
    assert (await keeper.ask("GET", "products?slug=a", 200))["items"][0]["title"] == "Third"


async def test_what_fits_no_rule_or_cannot_begin_stays_and_is_told_once(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "bad*", "profile": "nonsense"}, {"pattern": "*.csv"})
    drop(keeper, "letter.pdf", b"%PDF")
    drop(keeper, "bad.csv", b"Handle\n")
    await look(keeper, 4)

    async def told() -> Any:
        found = [alert for alert in await alerts(keeper) if "drop_folder" in alert.cause]
        return found if len(found) == 2 else None

    found = {alert.detail.split("'")[1]: alert for alert in await eventually(told)}
    assert set(found) == {"letter.pdf", "bad.csv"}
    assert "No rule" in found["letter.pdf"].detail
    assert "nonsense" in found["bad.csv"].detail
    assert [alert.count for alert in found.values()] == [1, 1]
    assert await imports(keeper) == []
    (folder_of(keeper) / "letter.pdf").unlink()
    await look(keeper, 1)

    async def cleared() -> Any:
        return [a for a in await alerts(keeper) if "letter.pdf" in a.detail and a.state == "cleared"]

    await eventually(cleared)


async def test_an_import_that_fails_with_nobody_waiting_raises_an_alert(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "*.csv"})
    drop(keeper, "wrong.csv", b"\x00\x01\x02")
    await look(keeper)
    (failed,) = await imports(keeper)
    assert failed["state"] == "failed"

    async def told() -> Any:
        return [alert for alert in await alerts(keeper) if alert.subject_id == failed["id"]]

    (alert,) = await eventually(told)
    assert "wrong.csv" in alert.detail


@pytest.mark.feature("CAT-6")
async def test_a_held_file_that_a_later_one_overtook_is_not_confirmed(keeper: Shopkeeper) -> None:
    await rules(keeper, {"pattern": "prices*", "group": "prices"}, {"pattern": "*.csv"})
    await keeper.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(4)]))
    closing = csv_file([shopify_row(f"p-{n}", published="false") for n in range(2)])
    drop(keeper, "goods-20260301.csv", closing)
    drop(keeper, "prices-20260302.csv", b"sku,price\nP-1,11.00\n", age=40)
    await look(keeper)
    await imports(keeper)
    await look(keeper)
    held, prices = (await imports(keeper))[1:]
    assert (held["state"], prices["state"]) == ("held", "succeeded")
    # Prices are no later goods, and goods that were refused as a whole are none either: it may go on.
    drop(keeper, "goods-20260303.csv", b"\x00\x01\x02", age=30)
    await look(keeper)
    assert (await imports(keeper))[-1]["state"] == "failed"
    drop(keeper, "goods-20260304.csv", closing, age=20)
    await look(keeper)
    second = (await imports(keeper))[-1]
    assert second["state"] == "held"
    await keeper.ask("POST", f"imports/{held['id']}/confirm", 202)
    assert (await keeper.finished(held["id"]))["state"] == "succeeded"
    drop(keeper, "goods-20260305.csv", csv_file([shopify_row("p-0", title="Newer")]), age=10)
    await look(keeper)
    assert (await imports(keeper))[-1]["state"] == "succeeded"
    refused = await keeper.ask("POST", f"imports/{second['id']}/confirm", 409)
    assert (refused["code"], "goods-20260305.csv" in refused["detail"]) == ("import_overtaken", True)
    told = await keeper.graphql(
        "mutation ($id: UUID!) { confirmImport(importId: $id) { ... on Problem { code } } }", id=second["id"]
    )
    assert told["confirmImport"]["code"] == "import_overtaken"


@pytest.mark.feature("OPS-5")
@pytest.mark.parametrize("moment", ["stored", "asked", "moved"])
async def test_killed_while_a_file_is_taken_it_is_imported_once(
    keeper: Shopkeeper, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    await rules(keeper, {"pattern": "*.csv"})
    drop(keeper, "goods.csv", csv_file([shopify_row("a")]))
    await look(keeper, 1)

    def die(*_arguments: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(drop_folders, {"stored": "_message", "asked": "_move_aside"}.get(moment, "_write_down"), die)
        with pytest.raises(KeyboardInterrupt):
            await look(keeper, 1)
    await look(keeper, 3)
    (only,) = await imports(keeper)
    assert only["state"] == "succeeded"
    assert len(list((folder_of(keeper) / "done").iterdir())) == 1
    assert not (folder_of(keeper) / "goods.csv").exists()


async def test_the_index_is_built_anew_after_an_import_that_went_well(
    keeper: Shopkeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a shop that search knows of."""
    shop = (await keeper.catalog.rows("SELECT * FROM shops"))[0]
    process, organization_id = keeper.catalog.process, keeper.catalog.organization_id
    uow = process.surroundings.unit_of_work("search", service_envelope("search", organization_id))
    told = ShopChanged(shop=a_shop(organization_id, id=shop["id"]))
    await topology.named("search")[0].listeners[ShopChanged.wire_name].function(told, uow)
    await uow.commit()
    await rules(keeper, {"pattern": "*.csv", "reindex": True})
    drop(keeper, "goods.csv", csv_file([shopify_row("a")]))
    await look(keeper)
    await imports(keeper)
    await look(keeper, 2)

    async def rebuilds() -> Any:
        return (await keeper.ask("GET", "jobs?service=search", 200))["items"]

    assert len(await eventually(rebuilds)) == 1


async def test_organizations_are_found_by_their_folders(tmp_path: Path, configuration: Any) -> None:
    settings_of = settings()
    before = settings_of.drop_folder
    try:
        object.__setattr__(settings_of, "drop_folder", tmp_path / "none")
        assert drop_folders._organizations() == []
    finally:
        object.__setattr__(settings_of, "drop_folder", before)
