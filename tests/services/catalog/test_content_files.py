"""What channels have of products for themselves, in files: read, written, taken back, and the same again (CAT-4)."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest

from services.catalog.use_cases.content_file import HEADINGS
from shared.contracts.platform.imports import GetImport, Import, ListImportRemarks, ListImportSamples, UndoImport
from shared.contracts.sync.events import ConnectionRemoved
from shared.errors import CrossdockError
from shared.impex import group_templates
from tests.doors import caller_of
from tests.factories import exports
from tests.factories.catalog import csv_file, shopify_row
from tests.services.catalog.test_channel_content import LEAF, PAGE, keeper, shown
from tests.services.catalog.test_connection_content import Connected, connected

pytestmark = pytest.mark.feature("CAT-4", "CAT-5", "CAT-10")

__all__ = ["connected", "keeper"]

Row = dict[str, Any]
FORMATS = ("csv", "xlsx", "ndjson", "json", "parquet")


def of_rows(*rows: Row) -> bytes:
    return csv_file(rows, list(dict.fromkeys(name for row in rows for name in row)))


async def take(connected: Connected, *rows: Row, **options: Any) -> Import:
    done = await connected.catalog.bring_in(of_rows(*rows), group="channel-content", **options)
    assert done.state in ("succeeded", "held"), done.error
    return done


async def refusals(connected: Connected, done: Import) -> list[tuple[int, str | None, str]]:
    remarks = (await connected.catalog.ask(ListImportRemarks(import_id=done.id, kind="error", first=200))).items
    return [(each.row, each.column, each.code) for each in remarks]


async def all_contents(connected: Connected) -> list[dict[str, Any]]:
    """What every channel of these tests has and shows."""
    return [
        await connected.read(),
        await connected.read("sub"),
        await connected.seen(connected.here),
        await connected.seen(connected.there),
    ]


async def fill(connected: Connected) -> None:
    """Everything that can be said of a field: owned, kept, empty, handed on, in shops and connections."""
    gifts = await connected.ask("POST", "categories", 201, json={"name": "Gifts | more", "shops": ["main"]})
    images = [*PAGE["images"], {"url": "https://images.example/2.jpg", "alts": {"de": "Zwei"}}]
    page = {**PAGE, "title": "=Our | mug\\", "images": images, "category_ids": [gifts["id"]]}
    await connected.own(**page, variants=[LEAF])
    await connected.give(connected.here, **{**PAGE, "seo_title": None, "images": []}, variants=[LEAF])
    await connected.give(connected.here, variants=[{"sku": "MUG", "list_price": None, "order_limits": None}])
    await connected.hand_to("master", "title", "weight_grams", at=connected.here)
    await connected.hand_to("parent", "description_html", "backorder", at=connected.here)
    await connected.hand_to("master", "content_html", "height_mm", at=connected.there)
    await connected.own("sub", title="The sub-shop's")


@pytest.mark.parametrize("form", FORMATS)
async def test_an_exported_file_changes_nothing_and_makes_the_same_elsewhere(connected: Connected, form: str) -> None:
    await fill(connected)
    before = await all_contents(connected)
    content = await exports.exported(connected.catalog, group="channel-content", format=form)
    events = len(await connected.catalog.events("channel_content_changed"))
    again = await connected.catalog.bring_in(content, group="channel-content", format=form)
    assert (again.state, again.counters.get("errors", 0)) == ("succeeded", 0), await refusals(connected, again)
    assert again.counters["channel_contents_unchanged"] == 4
    assert again.counters.get("channel_contents_updated", 0) == 0
    assert len(await connected.catalog.events("channel_content_changed")) == events
    assert await all_contents(connected) == before

    for path in (connected.path, connected.path.replace("main", "sub")):
        await connected.ask("DELETE", path, 200)
    for at in (connected.here, connected.there):
        await connected.ask("DELETE", connected.at(at), 200)
    done = await connected.catalog.bring_in(content, group="channel-content", format=form)
    assert (done.counters["channel_contents_updated"], done.counters.get("errors", 0)) == (4, 0)
    unstable = ("version", "updated_at")
    made = [
        {name: value for name, value in each.items() if name not in unstable} for each in await all_contents(connected)
    ]
    expected = [{name: value for name, value in each.items() if name not in unstable} for each in before]
    # Words in languages beside a picture of a channel are in no column.
    for each in (*made, *expected):
        for name in ("value", "channel"):
            for image in each["images"][name] or ():
                image["alts"] = {}
    assert made == expected


async def test_a_file_says_whose_it_is_and_what_a_row_is_of(connected: Connected) -> None:
    done = await take(
        connected,
        {"connection": "Here", "handle": "mug", "title": "By name", "description": "<p>D</p>"},
        {"connection": str(connected.there), "handle": "mug", "title": "By id"},
        {"shop": "main", "handle": "mug", "seo title": "Of the shop"},
        {"shop": "main", "connection": "Here", "handle": "mug", "sku": "MUG", "list price": "19.00", "order step": "2"},
    )
    assert (done.counters["channel_contents_updated"], done.counters.get("errors", 0)) == (3, 0)
    content = await connected.seen(connected.here)
    assert shown(content, "title") == ("channel", "channel", "By name")
    assert shown(content, "description_html") == ("channel", "channel", "<p>D</p>")
    assert shown(content, "list_price")[2] == {"amount": 1900, "currency": "USD"}
    assert shown(content, "order_limits")[2] == {"minimum": None, "maximum": None, "step": 2}
    assert shown(content, "seo_title") == ("parent", "parent", "Of the shop")
    assert shown(await connected.seen(connected.there), "title")[2] == "By id"
    assert [event["connection_id"] for event in await connected.catalog.events("channel_content_changed")] == [
        str(connected.here),
        str(connected.there),
        None,
    ]


async def test_an_empty_cell_says_nothing_and_owners_are_said_by_name(connected: Connected) -> None:
    await connected.give(connected.here, title="Own", seo_title="Kept", description_html="<p>K</p>")
    row = {"connection": "Here", "handle": "mug", "title": "", "seo title": "", "description": "", "images": ""}
    assert (await take(connected, row)).counters["channel_contents_unchanged"] == 1
    owners = {"channel fields": "seo title | images", "master fields": "title", "parent fields": "description"}
    done = await take(connected, {**row, **owners})
    assert done.counters["channel_contents_updated"] == 1
    content = await connected.seen(connected.here)
    assert shown(content, "title") == ("master", "master", "Mug")
    assert (content["title"]["channel"], content["description_html"]["channel"]) == ("Own", "<p>K</p>")
    assert shown(content, "seo_title") == ("channel", "channel", None)
    assert shown(content, "images") == ("channel", "channel", [])
    assert shown(content, "description_html")[:2] == ("parent", "master")


async def test_what_cannot_be_is_told_row_by_row_and_the_others_are_taken(connected: Connected) -> None:
    await connected.hear_of(connected.main, "Twice")
    await connected.hear_of(connected.main, "Twice")
    gone = await connected.hear_of(connected.main, "Gone")
    await connected.catalog.hear(ConnectionRemoved(connection_id=gone))
    rows: list[tuple[Row, str, str]] = [
        ({"connection": "Here", "title": "T"}, "", ""),
        ({"connection": "Nowhere"}, "connection", "connection_not_found"),
        ({"connection": str(uuid4())}, "connection", "connection_not_found"),
        ({"connection": "Gone"}, "connection", "connection_not_found"),
        ({"connection": "Twice"}, "connection", "ambiguous_connection"),
        ({"connection": "Here", "shop": "sub"}, "connection", "connection_not_found"),
        ({"shop": "none"}, "shop", "shop_not_found"),
        ({"shop": "", "title": "Nobody's"}, "shop", "channel_not_named"),
        ({"shop": "main", "handle": "none"}, "handle", "unknown_handle"),
        ({"shop": "main", "sku": "NONE"}, "sku", "unknown_sku"),
        ({"shop": "main", "weight grams": "5"}, "weight grams", "not_of_this_row"),
        ({"shop": "main", "sku": "MUG", "title": "T"}, "title", "not_of_this_row"),
        ({"shop": "main", "categories": "No | Such"}, "categories", "unknown_category"),
        ({"shop": "main", "parent fields": "title", "seo title": "1"}, "parent fields", "shop_has_no_parent"),
        ({"shop": "main", "channel fields": "colour", "seo title": "2"}, "channel fields", "unknown_field"),
        ({"shop": "sub", "channel fields": "title", "master fields": "title"}, "master fields", "two_owners"),
        ({"shop": "sub", "sku": "MUG", "list price": "1.234"}, "list price", "invalid_price"),
        ({"shop": "sub", "sku": "MUG", "backorder": "perhaps"}, "backorder", "invalid_backorder"),
        ({"shop": "sub", "sku": "MUG", "order minimum": "3", "order step": "2"}, "order minimum", "invalid_value"),
        ({"shop": "main", "title": "x" * 501}, "title", "invalid_value"),
    ]
    for number, (row, column, code) in enumerate(rows):
        taken = {"connection": "There", "handle": "mug", "seo title": f"{number}"}
        done = await take(connected, taken, {"handle": "mug", **row})
        expected = [(3, column, code)] if code else []
        assert await refusals(connected, done) == expected, (number, row)
    assert shown(await connected.seen(connected.here), "title")[2] == "T"
    assert (await connected.read())["version"] == 0
    double = {"connection": "Here", "handle": "mug", "title": "T"}
    done = await take(connected, double, {**double, "title": "U"})
    assert await refusals(connected, done) == [(3, "handle", "duplicate_key")]


async def test_rows_are_deleted_weighed_and_taken_back(connected: Connected) -> None:
    await connected.give(connected.here, title="Own", variants=[LEAF])
    await connected.give(connected.there, title="Other")
    before = await connected.seen(connected.here)
    row = {"connection": "Here", "handle": "mug"}
    held = await take(connected, row, mode="delete")
    assert (held.state, [(each.what, each.count, each.of) for each in held.harms]) == (
        "held",
        [("channel_contents_deleted", 1, 2)],
    )
    done = await take(connected, {**row, "sku": "MUG"}, mode="delete", guard_percent=100)
    assert done.counters["channel_contents_deleted"] == 1
    content = await connected.seen(connected.here)
    assert (shown(content, "title")[2], shown(content, "weight_grams")) == ("Own", ("parent", "master", 300))
    whole = await take(connected, row, mode="delete", guard_percent=100)
    assert shown(await connected.seen(connected.here), "title") == ("parent", "master", "Mug")
    for each in (whole, done):
        started = await connected.catalog.ask(UndoImport(import_id=each.id))
        await connected.catalog.run_job(started.undo.job_id)
        undone = await connected.catalog.ask(GetImport(import_id=each.id))
        assert (undone.state, undone.undo and undone.undo.conflicts) == ("undone", 0)
    after = await connected.seen(connected.here)
    for name in ("title", "weight_grams", "list_price", "order_limits"):
        assert shown(after, name) == shown(before, name), name
    assert shown(await connected.seen(connected.there), "title")[2] == "Other"


@pytest.mark.feature("CAT-9")
async def test_an_import_is_taken_back_but_for_what_somebody_touched_since(connected: Connected) -> None:
    await connected.give(connected.here, title="Before", seo_title="Before")
    done = await take(
        connected,
        {"connection": "Here", "handle": "mug", "title": "After", "seo title": "After"},
        {"connection": "There", "handle": "mug", "title": "After", "seo title": ""},
    )
    await connected.give(connected.here, seo_title="Touched")
    started = await connected.catalog.ask(UndoImport(import_id=done.id))
    await connected.catalog.run_job(started.undo.job_id)
    content = await connected.seen(connected.here)
    assert (shown(content, "title")[2], shown(content, "seo_title")[2]) == ("Before", "Touched")
    assert shown(await connected.seen(connected.there), "title") == ("parent", "master", "Mug")
    undone = await connected.catalog.ask(GetImport(import_id=done.id))
    assert undone.undo is not None
    assert undone.undo.conflicts == 1


@pytest.mark.feature("CAT-6")
async def test_a_dry_run_shows_what_would_become_of_it(connected: Connected) -> None:
    await connected.give(connected.here, title="Before")
    row = {"connection": "Here", "handle": "mug", "title": "After"}
    done = await take(connected, row, dry_run=True)
    assert done.counters["channel_contents_updated"] == 1
    assert shown(await connected.seen(connected.here), "title")[2] == "Before"
    samples = (await connected.catalog.ask(ListImportSamples(import_id=done.id))).items
    told = [(each.kind, each.name, [(f.field, f.before, f.after) for f in each.fields]) for each in samples]
    assert told == [("update", f"mug at {connected.here}", [("title", "Before", "After")])]
    with pytest.raises(CrossdockError) as refused:
        await take(connected, row, mode="replace")
    assert refused.value.code == "unsupported_mode"


@pytest.mark.feature("ACC-3")
async def test_a_client_of_one_shop_brings_in_and_takes_out_what_its_channels_have(connected: Connected) -> None:
    of_sub = await connected.hear_of(connected.sub, "Of the sub-shop")
    await connected.give(connected.here, title="Of main")
    connected.catalog.caller = caller_of(
        connected.catalog.organization_id, "catalog:write", shop_ids=[connected.sub.id]
    )
    with pytest.raises(CrossdockError) as refused:
        await take(connected, {"connection": "Here", "handle": "mug", "title": "X"})
    assert refused.value.code == "shop_not_named"
    done = await take(
        connected,
        {"connection": "Here", "handle": "mug", "title": "X"},
        {"connection": "Of the sub-shop", "handle": "mug", "title": "Ours"},
        {"connection": "", "handle": "mug", "title": "Of the sub-shop itself"},
        shop="sub",
    )
    assert await refusals(connected, done) == [(2, "connection", "connection_not_found")]
    assert shown(await connected.seen(of_sub), "title")[2] == "Ours"
    assert shown(await connected.seen(connected.here), "title")[2] == "Of main"
    assert shown(await connected.read("sub"), "title")[2] == "Of the sub-shop itself"
    rows = await exports.table(connected.catalog, group="channel-content", shop="sub")
    assert [(row["shop"], row["connection"] or "", row["title"]) for row in rows] == [
        ("sub", "", "Of the sub-shop itself"),
        ("sub", "Of the sub-shop", "Ours"),
    ]


async def test_an_export_is_of_the_products_that_are_wanted(connected: Connected) -> None:
    await connected.catalog.bring_in(csv_file([shopify_row(f"p-{n}") for n in range(3)]), shop="main")
    ids = {each["slug"]: each["id"] for each in (await connected.ask("GET", "products", 200))["items"]}
    changes = [{"product_id": id_, "title": f"T {slug}"} for slug, id_ in ids.items()]
    of_here = {"connection_id": str(connected.here)}
    await connected.ask("PATCH", "channel-content", 200, json={**of_here, "changes": changes})
    wanted = {"product_ids": [ids["p-1"], ids["mug"]]}
    rows = await exports.table(connected.catalog, group="channel-content", filter=wanted)
    assert sorted((row["handle"], row["connection"], row["title"]) for row in rows) == [
        ("mug", "Here", "T mug"),
        ("p-1", "Here", "T p-1"),
    ]


def test_the_template_has_the_columns_that_are_read() -> None:
    lines = csv.reader(io.StringIO(group_templates.TABLES["channel-content"].strip()), delimiter="¦")
    assert [line[0].replace("*", "").strip() for line in lines] == list(HEADINGS)
