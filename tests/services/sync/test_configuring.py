"""Settings of a connection change field by field, and name nothing that is not there."""

from typing import Any

import pytest

from tests.doors import caller_of
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.services.sync.test_doors import graphql

pytestmark = pytest.mark.feature("SYN-6", "SYN-3", "GAT-2")

CHANGE = """mutation($id: UUID!, $change: ConnectionChangeInput!) {
    changeConnection(connectionId: $id, change: $change) {
    ... on Connection { version settings { stockBuffer guardPercent fields price { marginPercent } matchBy locations } }
    ... on Problem { code detail errors } } }"""


async def patched(connected: Connected, settings: dict[str, Any], status: int = 200) -> Any:
    path = f"/v1/connections/{connected.id}"
    answer = await connected.client.patch(path, json={"settings": settings}, headers=connected.headers)
    assert answer.status_code == status, answer.text
    return answer.json()["settings"] if status == 200 else answer.json()


async def test_a_given_field_takes_the_place_of_that_field_alone_and_null_brings_its_default_back(
    connected: Connected,
) -> None:
    before = connected.connection["settings"]
    title = {"title": {"policy": "ours", "conflict": "ask"}}
    first = await patched(connected, {"stock_buffer": 3, "fields": title, "price": {"margin_percent": "5"}})
    assert first == before | {
        "stock_buffer": 3,
        "fields": title,
        "price": {"margin_percent": "5", "currency": None, "rate": None, "ending": None},
    }
    # A field that is given is all of that field.
    brand = {"brand": {"policy": "both", "conflict": "remote_wins"}}
    second = await patched(connected, {"fields": brand, "guard_percent": 40, "stock_buffer": None, "match_by": ["sku"]})
    assert second == first | {"fields": brand, "guard_percent": 40, "stock_buffer": 0, "match_by": ["sku"]}
    assert await patched(connected, {}) == second

    change = {"settings": {"stockBuffer": 7, "matchBy": None, "price": None}}
    made = await graphql(connected.client, connected.caller, CHANGE, id=connected.id, change=change)
    assert made["changeConnection"]["settings"] == {
        "stockBuffer": 7,
        "guardPercent": 40,
        "fields": brand,
        "price": {"marginPercent": "0"},
        "matchBy": ["SKU", "BARCODE"],
        "locations": {},
    }
    assert (await connected.get(f"/v1/connections/{connected.id}"))["settings"]["platform"] == before["platform"]


async def test_two_who_change_different_fields_both_have_their_way(connected: Connected) -> None:
    await patched(connected, {"recheck_limit": 5})
    await patched(connected, {"stock_missing": "backorder"})
    settings = (await connected.get(f"/v1/connections/{connected.id}"))["settings"]
    assert (settings["recheck_limit"], settings["stock_missing"]) == (5, "backorder")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"locations": {"main": "nowhere"}}, [("/settings/locations/main", "unknown_centre")]),
        (
            {"locations": {"moon": "nowhere"}},
            [("/settings/locations/moon", "unknown_place"), ("/settings/locations/moon", "unknown_centre")],
        ),
        ({"default_categories": ["Scarves", "Hats"]}, [("/settings/default_categories/1", "unknown_category")]),
    ],
)
async def test_names_of_what_is_not_there_are_refused_with_their_path(
    connected: Connected, fake: CustomShop, settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    await connected.post("/v1/categories", {"name": "Scarves"}, status=201)
    # Whoever may change a connection need not be allowed to read what it names.
    headers, connected.headers = (
        connected.headers,
        connected.client.speaking_as(caller_of(connected.organization_id, "sync:write")),
    )
    refused = await patched(connected, {**settings, "stock_buffer": 9}, status=422)
    assert refused["code"] == "invalid_connection_settings"
    assert [(each["pointer"], each["code"]) for each in refused["errors"]] == expected
    change = {"settings": {"locations": {"main": "nowhere"}}}
    made = await graphql(connected.client, connected.caller, CHANGE, id=connected.id, change=change)
    assert made["changeConnection"]["code"] == "invalid_connection_settings"
    assert (await connected.get(f"/v1/connections/{connected.id}"))["settings"] == connected.connection["settings"]
    connected.headers = headers
    good = await patched(connected, {"locations": {"main": "main"}, "default_categories": ["Scarves"]})
    assert (good["locations"], good["default_categories"]) == ({"main": "main"}, ["Scarves"])
    # What is as it was is not looked at again.
    fake.places.clear()
    await connected.post(f"/v1/connections/{connected.id}/test")
    assert await patched(connected, {**good, "stock_buffer": 1}) == good | {"stock_buffer": 1}


async def test_a_place_that_is_new_over_there_is_asked_for(connected: Connected, fake: CustomShop) -> None:
    fake.places.append({"id": "attic", "name": "Attic"})
    assert (await patched(connected, {"locations": {"attic": "main"}}))["locations"] == {"attic": "main"}


async def test_a_new_connection_names_what_is_there(connected: Connected, fake: CustomShop) -> None:
    draft = connected.draft(locations={"main": "nowhere"}) | {"name": "Other"}
    refused = await connected.post("/v1/connections", draft, status=422)
    assert [each["code"] for each in refused["errors"]] == ["unknown_centre"]
