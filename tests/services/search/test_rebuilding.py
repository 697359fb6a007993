"""Rebuilds: whole shops, products and SKUs, with progress, joinable; and what is pending."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from deploy import topology
from services.search.use_cases import checking
from services.search.use_cases.ahead import ahead
from shared.bus.envelope import service_envelope
from tests.doors import caller_of, eventually
from tests.factories.search import Seller


async def _post(seller: Seller, path: str, body: Any = None, **options: Any) -> httpx.Response:
    assert seller.client is not None
    caller = options.get("caller") or seller.caller
    return await seller.client.post(f"/v1/search-indexes/{path}", json=body, headers=seller.client.speaking_as(caller))


async def _finished(seller: Seller, job_id: str) -> dict[str, Any]:
    async def look() -> Any:
        job = (await seller.get(f"jobs/{job_id}", caller=seller.caller)).json()
        return job if job.get("state") in ("succeeded", "failed", "cancelled") else None

    return await eventually(look, 30)


async def _spoil(process: topology.Surrounded, seller: Seller, shop: str) -> None:
    """Lose what the documents of a shop say, as no event would."""
    uow = process.surroundings.unit_of_work("search", service_envelope("search", seller.organization_id))
    await uow.execute(
        "UPDATE documents SET content = '', document = '{\"slug\":\"spoilt\"}' WHERE shop_id = $1",
        seller.shops[shop].id,
    )
    await uow.execute("UPDATE indexes SET generation = generation + 1 WHERE shop_id = $1", seller.shops[shop].id)
    await uow.commit()


@pytest.fixture(scope="module")
async def shop(seller: Seller) -> Seller:
    await seller.open("outlet")
    category = await seller.category("Clothing", shops=["main", "outlet"])
    for name in ("Scarf", "Sweater", "Kettle"):
        await seller.sell(name, category)
    await seller.price({"SCARF": 500}, shop="outlet")
    await seller.sells(3)
    await seller.sells(1, "outlet")
    await seller.settles()
    return seller


@pytest.mark.feature("SEA-5")
async def test_a_whole_shop_is_rebuilt_and_only_that_shop(shop: Seller, process: topology.Surrounded) -> None:
    await _spoil(process, shop, "main")
    await _spoil(process, shop, "outlet")

    async def spoilt(code: str) -> bool:
        return "spoilt" in await shop.slugs(code)

    await eventually(lambda: spoilt("main"))
    await eventually(lambda: spoilt("outlet"))
    begun = await _post(shop, "main/rebuild")
    assert begun.status_code == 202
    assert begun.headers["location"] == f"/v1/jobs/{begun.json()['id']}"
    job = await _finished(shop, begun.json()["id"])
    assert (job["state"], job["progress"], job["counters"]["changed"]) == ("succeeded", {"done": 3, "total": 3}, 3)

    async def right() -> bool:
        return sorted(await shop.slugs()) == ["kettle", "scarf", "sweater"]

    await eventually(right)
    assert await spoilt("outlet")
    named = await _post(shop, "outlet/rebuild", {"skus": ["SCARF", "UNKNOWN"]})
    done = await _finished(shop, named.json()["id"])
    assert (done["progress"], done["counters"]["failed"]) == ({"done": 1, "total": 1}, 1)
    assert done["log"] == ["UNKNOWN: unknown_sku: no product has this SKU."]

    async def right_there() -> bool:
        return await shop.slugs("outlet") == ["scarf"]

    await eventually(right_there)


@pytest.mark.feature("SEA-5")
async def test_who_asks_while_it_runs_joins(shop: Seller) -> None:
    answers = await asyncio.gather(*(_post(shop, "rebuild") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    jobs = {answer.json()["id"] for answer in answers}
    for job_id in jobs:
        job = await _finished(shop, job_id)
        assert job["state"] == "succeeded"
    # Each is either the running one, or began after an earlier one had ended.
    assert len(jobs) < 4


@pytest.mark.feature("SEA-5")
async def test_states_of_the_indexes_are_listed(shop: Seller) -> None:
    async def settled() -> Any:
        page = (await shop.get("search-indexes", caller=shop.caller)).json()
        return page if all(each["pending"] == 0 for each in page["items"]) else None

    page = await eventually(settled)
    assert [(each["shop"], each["offers"], each["failed"]) for each in page["items"]] == [
        ("main", 3, 0),
        ("outlet", 1, 0),
    ]
    first = (await shop.get("search-indexes", caller=shop.caller, first=1)).json()
    rest = (await shop.get("search-indexes", caller=shop.caller, first=1, after=first["next"])).json()
    assert [each["shop"] for each in first["items"] + rest["items"]] == ["main", "outlet"]
    assert rest["next"] is None


@pytest.mark.feature("SEA-5")
async def test_who_may_rebuild(shop: Seller) -> None:
    reader = caller_of(shop.organization_id, "search:read")
    refused = await _post(shop, "main/rebuild", caller=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    unknown = await _post(shop, "nowhere/rebuild")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "shop_not_found")
    wrong = await _post(shop, "main/rebuild", {"product_ids": ["x"]})
    assert wrong.status_code == 422


# --- by category, and checks


@pytest.mark.feature("SEA-5")
async def test_a_branch_is_rebuilt_and_nothing_else(shop: Seller, process: topology.Surrounded) -> None:
    kitchen = await shop.category("Kitchen")
    pans = await shop.category("Pans", parent=kitchen)
    await shop.sell("Skillet", pans)
    await shop.sells(4)
    await shop.settles()
    await _spoil(process, shop, "main")
    begun = await _post(shop, "main/rebuild", {"category_ids": [str(kitchen.id)]})
    job = await _finished(shop, begun.json()["id"])
    assert (job["state"], job["counters"]["built"]) == ("succeeded", 1)

    async def right() -> bool:
        return sorted(await shop.slugs()) == ["skillet", "spoilt", "spoilt", "spoilt"]

    await eventually(right)
    await _finished(shop, (await _post(shop, "main/rebuild")).json()["id"])
    refused = await _post(shop, "main/rebuild", {"category_ids": [str(kitchen.id)], "skus": ["SKILLET"]})
    assert (refused.status_code, refused.json()["code"]) == (422, "products_and_categories")


@pytest.mark.feature("SEA-7")
async def test_a_check_names_what_differs_and_mends_it_if_told_to(
    shop: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SETTLES_SECONDS", 0.01)
    await shop.settles()
    await _finished(shop, (await _post(shop, "main/rebuild")).json()["id"])
    sound = await _finished(shop, (await _post(shop, "main/check")).json()["id"])
    checked = sound["counters"]["checked"]
    assert (sound["state"], sound["counters"], sound["log"]) == ("succeeded", {"checked": checked}, [])
    assert sound["progress"] == {"done": checked, "total": checked}

    # One is not what it should be, one is lost, one is of a product that there never was.
    main = shop.shops["main"].id
    uow = process.surroundings.unit_of_work("search", service_envelope("search", shop.organization_id))
    await uow.execute("UPDATE documents SET content = '' WHERE shop_id = $1 AND slug = 'scarf'", main)
    await uow.execute("DELETE FROM documents WHERE shop_id = $1 AND slug = 'kettle'", main)
    await uow.execute(
        "INSERT INTO documents SELECT organization_id, shop_id, gen_random_uuid(), 999, sequence, built_from, false,"
        " 'nobody', content, fields, document, page, changed_at FROM documents WHERE shop_id = $1 AND slug = 'sweater'",
        main,
    )
    await uow.commit()
    wrong = {"outdated": 1, "missing": 1, "superfluous": 1, "checked": checked}
    found = await _finished(shop, (await _post(shop, "main/check", {"repair": False})).json()["id"])
    assert found["counters"] == wrong
    assert sorted(line.rsplit(" ", 1)[1] for line in found["log"]) == ["missing", "outdated", "superfluous"]
    # The other shop is sound, and nobody was told to mend anything.
    assert (await _finished(shop, (await _post(shop, "outlet/check")).json()["id"]))["counters"] == {"checked": checked}
    mended = await _finished(shop, (await _post(shop, "check", {"repair": True})).json()["id"])
    assert mended["counters"] == {**wrong, "checked": 2 * checked, "marked": 3}
    await shop.settles()

    async def is_sound() -> bool:
        again = await _finished(shop, (await _post(shop, "main/check")).json()["id"])
        return again["counters"] == {"checked": checked}

    await eventually(is_sound)


@pytest.mark.feature("SEA-7")
async def test_what_is_marked_to_be_built_is_no_finding(
    shop: Seller, process: topology.Surrounded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "SETTLES_SECONDS", 0.01)
    main = shop.shops["main"].id
    uow = process.surroundings.unit_of_work("search", service_envelope("search", shop.organization_id))
    await uow.execute("UPDATE documents SET content = '' WHERE shop_id = $1 AND slug = 'scarf'", main)
    # As long as it keeps failing it is pending: nobody wakes the builder for it.
    await uow.execute(
        "INSERT INTO marks (organization_id, shop_id, product_id, is_bulk, failures, due_at)"
        " SELECT organization_id, shop_id, product_id, false, 1, now() + interval '1 hour' FROM documents"
        " WHERE shop_id = $1 AND slug = 'scarf'",
        main,
    )
    await uow.commit()
    job = await _finished(shop, (await _post(shop, "main/check")).json()["id"])
    assert set(job["counters"]) == {"checked"}
    uow = process.surroundings.unit_of_work("search", service_envelope("search", shop.organization_id))
    await uow.execute("DELETE FROM marks WHERE failures = 1")
    await uow.commit()
    assert (await _finished(shop, (await _post(shop, "main/check", {"repair": True})).json()["id"]))["counters"][
        "outdated"
    ] == 1


@pytest.mark.feature("SEA-5", "SEA-7")
async def test_checks_are_for_those_who_may_and_of_shops_that_are_there(shop: Seller) -> None:
    reader = caller_of(shop.organization_id, "search:read")
    assert (await _post(shop, "main/check", caller=reader)).status_code == 403
    assert (await _post(shop, "nowhere/check")).status_code == 404


@pytest.mark.feature("SEA-5")
async def test_pages_are_made_ahead_by_one_and_none_is_left_running() -> None:
    made: list[int] = []
    is_closed = False

    async def pages() -> AsyncGenerator[int, None]:
        nonlocal is_closed
        try:
            for number in range(1, 6):
                made.append(number)
                yield number
                if number == 4:
                    raise ValueError("the fifth cannot be made")
        finally:
            is_closed = True

    seen = []
    with pytest.raises(ValueError, match="the fifth"):
        async for page in ahead(pages()):
            await asyncio.sleep(0)
            assert made[-1] in (page, page + 1)
            seen.append(page)
    assert (seen, is_closed) == ([1, 2, 3, 4], True)
    is_closed = False
    reading = ahead(pages())
    assert await anext(reading) == 1
    await reading.aclose()
    assert is_closed
