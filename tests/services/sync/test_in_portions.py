"""What concerns a whole connection is done some thousands of records at a time; a kill costs none of them (SYN-8)."""

from typing import Any
from uuid import UUID

import pytest

from services.sync.errors import PlatformAway
from services.sync.repository import listings
from services.sync.use_cases import comparing_anew, fetching
from tests.factories.sync import Connected
from tests.fakes.custom import CustomShop
from tests.platforms.conftest import put_products
from tests.services.sync.test_in_sets import live

pytestmark = pytest.mark.feature("SYN-8", "SYN-6", "SYN-10")


async def test_what_vanished_goes_in_portions_and_a_killed_run_goes_on_with_the_rest(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_GONE_AT_ONCE", 1)
    put_products(fake, 12)
    await connected.confirm_matches()
    await connected.run("import_products")
    for number in ("11", "12"):
        fake.remove_product(number)
    await connected.post(f"/v1/connections/{connected.id}/reset-clock", {"entity": "product"})
    mark, portions = listings.mark_gone, 0

    async def dying(*arguments: Any) -> list[UUID]:
        nonlocal portions
        portions += 1
        if portions == 3:
            raise PlatformAway("killed")
        return await mark(*arguments)

    monkeypatch.setattr(listings, "mark_gone", dying)
    done = await connected.run("import_products")
    assert (done["state"], done["counters"]["gone"]) == ("succeeded", 4), done
    # Each kind is over where a portion is not full; one was tried twice.
    assert portions == 7
    items = (await connected.get(f"/v1/listings?connection_id={connected.id}&first=200"))["items"]
    assert sorted(each["external_id"] for each in items if each["gone_at"]) == ["11", "110", "12", "120"]


async def test_other_rules_are_followed_by_all_records_however_many(
    connected: Connected, fake: CustomShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing_anew, "AT_ONCE", 2)
    await live(connected, fake, 5)
    answer = await connected.client.patch(
        f"/v1/connections/{connected.id}", json={"settings": {"stock_buffer": 3}}, headers=connected.headers
    )
    assert answer.status_code == 200, answer.text
    await connected.heard_all()
    done = await connected.run("export_stock")
    assert (done["state"], done["counters"]["sent"]) == ("succeeded", 5)
    assert {fake.stock(f"SCARF-{number}", "main") for number in range(1, 6)} == {7}
