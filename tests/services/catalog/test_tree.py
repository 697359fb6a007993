"""The tree of categories: dates, slugs in every language, branches that move, and no circle whoever tries (CAT-2)."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import topology
from services.catalog.use_cases import categories as use_cases
from shared import clock
from shared.bus.envelope import service_envelope
from shared.contracts.catalog.categories import CategoryDraft
from shared.contracts.catalog.messages import (
    CreateCategory,
    GetOfferParts,
    ListProductIds,
    PriceLine,
    PriceLines,
)
from shared.contracts.catalog.tree import GetCategoryTree, MoveCategory
from shared.errors import CrossdockError
from tests.doors import Client, caller_of
from tests.factories.catalog import Catalog
from tests.services.catalog.test_doors import Shopkeeper, shopkeeper
from tests.waiting import until

pytestmark = pytest.mark.feature("CAT-2")


@pytest.fixture
async def keeper(client: Client, process: topology.Surrounded) -> Shopkeeper:
    made = await shopkeeper(client, process)
    await made.catalog.open_shop()
    return made


async def category(keeper: Shopkeeper, name: str, parent: Any = None, **fields: Any) -> dict[str, Any]:
    parent_id = parent and parent["id"]
    return await keeper.ask("POST", "categories", 201, json={"name": name, "parent_id": parent_id, **fields})


async def tree(keeper: Shopkeeper, query: str = "") -> list[dict[str, Any]]:
    return (await keeper.ask("GET", f"categories/tree{query}", 200))["items"]


async def paths(keeper: Shopkeeper, query: str = "?counts=false") -> list[str]:
    return ["/".join(found["path"]) for found in await tree(keeper, query)]


async def sold(keeper: Shopkeeper) -> list[str]:
    """Slugs of what the shop `main` sells, with what its offers say of categories."""
    shop = (await keeper.catalog.rows("SELECT id FROM shops WHERE code = 'main'"))[0]["id"]
    ids = (await keeper.catalog.ask(ListProductIds(), as_service="search")).ids
    asked = GetOfferParts(shop_id=shop, product_ids=ids)
    found = (await keeper.catalog.ask(asked, as_service="search")).products
    lines = PriceLines(shop_id=shop, lines=[PriceLine(sku=part.variants[0].sku, quantity=1) for part in found])
    asked_lines = (await keeper.catalog.ask(lines, as_service="orders")).lines
    reasons = {line.sku: line.reason for line in asked_lines}
    assert all((reasons[part.variants[0].sku] == "not_assigned") is not part.is_assigned for part in found)
    return ["/".join(place.path) for part in found for place in part.categories]


async def product(keeper: Shopkeeper, title: str, *categories: dict[str, Any]) -> None:
    draft = {"title": title, "variants": [{"sku": title, "price_on_request": True}], "status": "draft"}
    made = await keeper.ask(
        "POST", "products", 201, json=draft | {"category_ids": [found["id"] for found in categories]}
    )
    await keeper.ask("POST", f"products/{made['id']}/publish", 200)


# --- reading


async def test_the_tree_is_read_at_once_in_its_order_with_counts(keeper: Shopkeeper) -> None:
    home = await category(keeper, "Home", position=2, shops=["main"])
    kitchen = await category(keeper, "Kitchen", home, position=1)
    bath = await category(keeper, "Bath", home, position=0, enabled=False)
    cups = await category(keeper, "Cups", kitchen)
    await category(keeper, "Art", position=1)
    await product(keeper, "CUP", cups, kitchen)
    await product(keeper, "TAP", bath)
    found = await tree(keeper)
    assert [("/".join(c["path"]), c["depth"], c["product_count"], c["branch_product_count"]) for c in found] == [
        ("art", 0, 0, 0),
        ("home", 0, 0, 2),
        ("home/bath", 1, 1, 1),
        ("home/kitchen", 1, 1, 1),
        ("home/kitchen/cups", 2, 1, 1),
    ]
    assert [c["is_open"] for c in found] == [True, True, False, True, True]
    assert found[1] == home | {name: found[1][name] for name in found[1].keys() - home.keys()}
    assert await paths(keeper, "?depth=0") == ["art", "home"]
    assert await paths(keeper, f"?root_id={home['id']}&depth=1") == ["home", "home/bath", "home/kitchen"]
    assert await paths(keeper, f"?root_id={kitchen['id']}") == ["home/kitchen", "home/kitchen/cups"]
    assert {c["product_count"] for c in await tree(keeper, "?counts=false")} == {None}
    assert await keeper.code("GET", f"categories/tree?root_id={uuid4()}", 404) == "category_not_found"
    assert await keeper.code("GET", "categories/tree?depth=-1", 422) == "validation_failed"


# --- changing


async def test_a_category_is_changed_only_by_who_has_read_it(keeper: Shopkeeper) -> None:
    made = await category(keeper, "Cups", slugs={"de": "tassen"}, valid_from="2026-01-01T00:00:00+01:00")
    assert (keeper.headers["etag"], made["valid_from"]) == ('"1"', "2025-12-31T23:00:00Z")
    path = f"categories/{made['id']}"
    change = {"slug": "mugs", "slugs": {"de": "becher"}, "valid_until": "2027-01-01T00:00:00Z"}
    changed = await keeper.ask("PATCH", path, 200, json=change, headers={"If-Match": '"1"'})
    assert (changed["slug"], changed["slugs"], changed["version"]) == ("mugs", {"de": "becher"}, 2)
    for method, where, body in (
        ("PATCH", path, {"name": "X"}),
        ("POST", f"{path}/move", {"parent_id": None}),
        ("POST", f"{path}/assign", {"shops": ["main"]}),
        ("POST", f"{path}/unassign", {"shops": ["main"]}),
    ):
        code = await keeper.code(method, where, 412, json=body, headers={"If-Match": '"1"'})
        assert code == "category_changed_since"
    emptied = await keeper.ask("PATCH", path, 200, json={"valid_from": None, "valid_until": None, "slugs": {}})
    assert (emptied["valid_from"], emptied["valid_until"], emptied["slugs"]) == (None, None, {})
    assigned = await keeper.ask("POST", f"{path}/assign", 200, json={"shops": ["main"]})
    assert (assigned["version"], keeper.headers["etag"]) == (4, '"4"')
    assert (await keeper.ask("POST", f"{path}/assign", 200, json={"shops": ["main"]}))["version"] == 4
    assert (await keeper.ask("PATCH", path, 200, json={"slug": "mugs"}))["version"] == 4
    audited = await keeper.catalog.rows("SELECT action FROM audit_entries ORDER BY id")
    assert [row["action"] for row in audited] == [
        "category.create",
        "category.change",
        "category.change",
        "category.assign",
    ]


@pytest.mark.parametrize("method", ["PATCH", "move", "assign"])
async def test_of_two_who_read_the_same_version_one_is_refused(keeper: Shopkeeper, method: str) -> None:
    made = await category(keeper, "Cups", await category(keeper, "Home"))
    bodies = {
        "PATCH": [{"name": "A"}, {"name": "B"}],
        "move": [{"parent_id": None}] * 2,
        "assign": [{"shops": ["main"]}] * 2,
    }
    verb, path = ("PATCH", "") if method == "PATCH" else ("POST", f"/{method}")
    answers = await asyncio.gather(
        *(
            keeper.client.request(
                verb,
                f"/v1/categories/{made['id']}{path}",
                json=body,
                headers=keeper.client.speaking_as(keeper.caller, If_Match='"1"'),
            )
            for body in bodies[method]
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("change", "status", "code", "pointer"),
    [
        ({"slug": "cups"}, 409, "slug_taken", "/slug"),
        ({"slugs": {"de": "tassen"}}, 409, "slug_taken", "/slugs/de"),
        ({"slugs": {"fr": "cups"}}, 409, "slug_taken", "/slugs/fr"),
        ({"slug": "tassen"}, 409, "slug_taken", "/slugs/de"),
        ({"slug": "Not A Slug"}, 422, "validation_failed", "/body/slug"),
        ({"slug": None}, 422, "validation_failed", "/body"),
        ({"slugs": {"de": ""}}, 422, "validation_failed", "/body/slugs/de"),
        ({"parent_id": None}, 422, "validation_failed", "/body/parent_id"),
        ({"position": 2**31}, 422, "validation_failed", "/body/position"),
        ({"valid_from": "2026-01-01T00:00:00"}, 422, "validation_failed", "/body/valid_from"),
        ({"valid_from": "9999-12-31T23:59:59-12:00"}, 422, "validation_failed", "/body/valid_from"),
        (
            {"valid_from": "2026-01-02T00:00:00Z", "valid_until": "2026-01-02T00:00:00Z"},
            422,
            "category_ends_before_it_starts",
            "/valid_until",
        ),
    ],
)
async def test_a_change_that_cannot_be_is_refused_by_name(
    keeper: Shopkeeper, change: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    await category(keeper, "Cups", slugs={"de": "tassen"})
    other = await category(keeper, "Plates")
    path = f"categories/{other['id']}"
    refusal = await keeper.ask("PATCH", path, status, json=change)
    assert (refusal["code"], refusal["errors"][0]["pointer"]) == (code, pointer)
    assert await keeper.ask("GET", path, 200) == other


async def test_siblings_may_have_what_cousins_have(keeper: Shopkeeper) -> None:
    home, away = await category(keeper, "Home"), await category(keeper, "Away")
    cups = await category(keeper, "Cups", home, slugs={"de": "tassen"})
    await category(keeper, "Cups", away, slugs={"de": "tassen"})
    draft = {"name": "Mugs", "parent_id": home["id"], "slugs": {"de": "tassen"}}
    assert await keeper.code("POST", "categories", 409, json=draft) == "slug_taken"
    move = {"parent_id": away["id"]}
    refusal = await keeper.ask("POST", f"categories/{cups['id']}/move", 409, json=move)
    assert refusal["code"] == "slug_taken"
    with pytest.raises(asyncpg.UniqueViolationError):
        await commit_check(keeper.catalog, cups["id"], away["id"])


async def commit_check(catalog: Catalog, category_id: str, parent_id: str) -> None:
    """Move past the rules, to the end of a transaction: the database's own are what is left."""
    uow = catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", catalog.organization_id))
    try:
        await uow.execute(
            "UPDATE categories SET parent_id = $2, slug = 'moved' WHERE id = $1", UUID(category_id), UUID(parent_id)
        )
        await uow.commit()
    finally:
        await uow.rollback()


async def test_a_file_finds_a_category_by_its_slug_in_any_language(keeper: Shopkeeper) -> None:
    home = await category(keeper, "Home", slugs={"de": "haus"})
    await category(keeper, "Cups", home, slugs={"de": "tassen"})
    await category(keeper, "Haus", home)
    file = "handle,title,categories,sku\na,A,Haus > Tassen,A\nb,B,Home > Haus,B\nc,C,Home > Cups,C\n"
    await keeper.catalog.bring_in(file.encode(), profile="crossdock")
    counted = {"/".join(c["path"]): c["product_count"] for c in await tree(keeper)}
    assert counted == {"home": 0, "home/cups": 2, "home/haus": 1}


# --- dates


async def test_a_branch_is_sold_only_within_its_dates(keeper: Shopkeeper) -> None:
    now = clock.now()
    begin, end = now + timedelta(hours=1), now + timedelta(hours=2)
    home = await category(
        keeper, "Home", shops=["main"], valid_from=begin.isoformat(), valid_until=end.isoformat(), slugs={"en": "house"}
    )
    cups = await category(keeper, "Cups", home)
    await product(keeper, "CUP", cups)
    seen = []
    for hours in (0, 1, 1.5, 2):
        with clock.replaced(lambda hours=hours: now + timedelta(hours=hours)):
            seen.append(await sold(keeper))
            assert [c["is_open"] for c in await tree(keeper)] == [bool(seen[-1])] * 2
    assert seen == [[], ["house/cups"], ["house/cups"], []]


async def test_a_date_that_comes_is_announced_and_one_that_was_changed_is_not(keeper: Shopkeeper) -> None:
    begin = clock.now() + timedelta(hours=1)
    home = await category(keeper, "Home", valid_from=begin.isoformat())
    later = begin + timedelta(hours=1)
    await keeper.ask("PATCH", f"categories/{home['id']}", 200, json={"valid_from": later.isoformat()})
    due = await keeper.catalog.rows("SELECT due_at, payload FROM tasks WHERE kind = 'category_turns' ORDER BY due_at")
    assert [row["due_at"] for row in due] == [begin, later]
    before = len(await keeper.catalog.events("categories_changed"))
    for row, announced in zip(due, (0, 1), strict=True):
        await keeper.catalog.perform("category_turns", orjson.loads(row["payload"]))
        events = (await keeper.catalog.events("categories_changed"))[before:]
        assert [event["category_ids"] for event in events] == [[home["id"]]] * announced


# --- moving


async def test_a_branch_moves_in_one_call_and_siblings_make_room(keeper: Shopkeeper) -> None:
    home = await category(keeper, "Home", shops=["main"])
    store = await category(keeper, "Store")
    cups, _, _ = [await category(keeper, name, home) for name in ("Cups", "Plates", "Bowls")]
    mugs = await category(keeper, "Mugs", cups)
    await product(keeper, "MUG", mugs)
    assert await sold(keeper) == ["home/cups/mugs"]
    path = f"categories/{cups['id']}/move"
    away = await keeper.ask("POST", path, 200, json={"parent_id": store["id"]}, headers={"If-Match": '"1"'})
    assert (away["parent_id"], away["version"], keeper.headers["etag"]) == (store["id"], 2, '"2"')
    assert (await sold(keeper), await paths(keeper)) == (
        [],
        ["home", "home/bowls", "home/plates", "store", "store/cups", "store/cups/mugs"],
    )
    await keeper.ask("POST", path, 200, json={"parent_id": home["id"], "position": 1})
    assert await sold(keeper) == ["home/cups/mugs"]
    assert (await paths(keeper))[:4] == ["home", "home/bowls", "home/cups", "home/cups/mugs"]
    await keeper.ask("POST", path, 200, json={"parent_id": home["id"], "position": 0})
    last = await keeper.ask("POST", path, 200, json={"parent_id": home["id"], "position": 99})
    assert (await paths(keeper))[1:4] == ["home/bowls", "home/plates", "home/cups"]
    before = len(await keeper.catalog.events("categories_changed"))
    assert await keeper.ask("POST", path, 200, json={"parent_id": home["id"]}) == last
    assert len(await keeper.catalog.events("categories_changed")) == before
    root = await keeper.ask("POST", path, 200, json={"parent_id": None, "position": 0})
    assert (root["parent_id"], (await paths(keeper))[0]) == (None, "cups")
    announced = (await keeper.catalog.events("categories_changed"))[before:]
    assert [(event["category_ids"], event["is_confined"]) for event in announced] == [([cups["id"]], True)]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "validation_failed"),
        ({"parent_id": "home"}, 422, "validation_failed"),
        ({"parent_id": str(uuid4())}, 404, "category_not_found"),
        ({"parent_id": None, "position": -1}, 422, "validation_failed"),
        ({"parent_id": None, "position": 1.5}, 422, "validation_failed"),
    ],
)
async def test_a_move_to_nowhere_is_refused(keeper: Shopkeeper, body: Any, status: int, code: str) -> None:
    home = await category(keeper, "Home")
    assert await keeper.code("POST", f"categories/{home['id']}/move", status, json=body) == code


async def test_no_category_stands_below_itself(keeper: Shopkeeper) -> None:
    line = [await category(keeper, "A")]
    for name in "BC":
        line.append(await category(keeper, name, line[-1]))
    for below in line:
        refusal = await keeper.ask("POST", f"categories/{line[0]['id']}/move", 422, json={"parent_id": below["id"]})
        assert (refusal["code"], refusal["errors"][0]["pointer"]) == ("category_below_itself", "/parent_id")
    for below in line:
        with pytest.raises(asyncpg.CheckViolationError):
            await commit_check(keeper.catalog, line[0]["id"], below["id"])
    assert await paths(keeper) == ["a", "a/b", "a/b/c"]


async def test_two_moves_at_once_close_no_circle(keeper: Shopkeeper) -> None:
    a, b = await category(keeper, "A"), await category(keeper, "B")
    moves = [(a, b), (b, a)]
    answers = await asyncio.gather(
        *(
            keeper.client.post(
                f"/v1/categories/{moved['id']}/move",
                json={"parent_id": below["id"]},
                headers=keeper.client.speaking_as(keeper.caller),
            )
            for moved, below in moves
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    assert len(await paths(keeper)) == 2


async def test_two_moves_past_the_rules_at_once_close_no_circle_either(keeper: Shopkeeper) -> None:
    """The second looks only when the first has committed: what it sees then is a circle."""
    a, b = await category(keeper, "A"), await category(keeper, "B")
    # Rows that neither move touches: keys between the two would make the second wait whatever triggers do.
    below_a, below_b = await category(keeper, "X", a), await category(keeper, "Y", b)
    catalog = keeper.catalog
    first, second = (
        catalog.process.surroundings.unit_of_work("catalog", service_envelope("catalog", catalog.organization_id))
        for _ in range(2)
    )
    move = "UPDATE categories SET parent_id = $2 WHERE id = $1"
    await first.execute(move, UUID(a["id"]), UUID(below_b["id"]))
    moving = asyncio.create_task(second.execute(move, UUID(b["id"]), UUID(below_a["id"])))

    async def waits_or_is_over() -> bool:
        waiting = await catalog.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return moving.done() or bool(waiting)

    await until(waits_or_is_over)
    await first.commit()
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await moving
            await second.commit()
    finally:
        await second.rollback()
    assert await paths(keeper) == ["b", "b/y", "b/y/a", "b/y/a/x"]


async def test_a_tree_has_an_end(keeper: Shopkeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(use_cases, "MOST_LEVELS", 3)
    a = await category(keeper, "A")
    b = await category(keeper, "B", a)
    c = await category(keeper, "C", b)
    draft = {"name": "D", "parent_id": c["id"]}
    assert await keeper.code("POST", "categories", 422, json=draft) == "category_too_deep"
    other = await category(keeper, "Other")
    await category(keeper, "Below", other)
    deep = {"parent_id": b["id"]}
    assert await keeper.code("POST", f"categories/{other['id']}/move", 422, json=deep) == "category_too_deep"


class _Model:
    """Six categories, first all at the root."""

    def __init__(self) -> None:
        self.children: dict[int | None, list[int]] = {None: list(range(6)), **{n: [] for n in range(6)}}

    def parent(self, node: int) -> int | None:
        return next(parent for parent, children in self.children.items() if node in children)

    def is_below(self, node: int | None, top: int) -> bool:
        while node is not None and node != top:
            node = self.parent(node)
        return node == top

    def move(self, node: int, parent: int | None, position: int | None) -> bool:
        """Whether it may be moved there."""
        if self.is_below(parent, node):
            return False
        self.children[self.parent(node)].remove(node)
        siblings = self.children[parent]
        siblings.insert(len(siblings) if position is None else position, node)
        return True

    def walk(self, parent: int | None = None) -> Iterator[int]:
        for child in self.children[parent]:
            yield child
            yield from self.walk(child)


PLACES = st.none() | st.integers(0, 5)
MOVES = st.lists(st.tuples(st.integers(0, 5), PLACES, PLACES), min_size=1, max_size=12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MOVES)
async def test_the_catalog_moves_as_the_model_does(
    process: topology.Surrounded, moves: list[tuple[int, int | None, int | None]]
) -> None:
    catalog, model = Catalog(process), _Model()
    drafts = [CategoryDraft(name=f"c{number}", position=number) for number in range(6)]
    made = [await catalog.ask(CreateCategory(draft=draft)) for draft in drafts]
    numbers = {found.id: number for number, found in enumerate(made)}
    for moved, parent, position in moves:
        parent_id = None if parent is None else made[parent].id
        message = MoveCategory(category_id=made[moved].id, parent_id=parent_id, position=position)
        if model.move(moved, parent, position):
            await catalog.ask(message)
        else:
            with pytest.raises(CrossdockError, match="below itself"):
                await catalog.ask(message)
        found = (await catalog.ask(GetCategoryTree(counts=False))).items
        assert [numbers[each.id] for each in found] == list(model.walk())


# --- both doors, and others' things


@pytest.mark.feature("GAT-2")
async def test_graphql_says_the_same(keeper: Shopkeeper) -> None:
    home, store = await category(keeper, "Home"), await category(keeper, "Store")
    move = "mutation($id: UUID!, $parent: UUID, $version: Int) {"
    move += " moveCategory(categoryId: $id, parentId: $parent, position: 0, version: $version) {"
    move += " ... on Category { parentId version } ... on Problem { code } } }"
    moved = await keeper.graphql(move, id=store["id"], parent=home["id"], version=1)
    assert moved["moveCategory"] == {"parentId": home["id"], "version": 2}
    assert (await keeper.graphql(move, id=home["id"], parent=store["id"]))["moveCategory"] == {
        "code": "category_below_itself"
    }
    assert (await keeper.graphql(move, id=store["id"], parent=None, version=1))["moveCategory"] == {
        "code": "category_changed_since"
    }
    found = await keeper.graphql("{ categoryTree { items { path depth productCount isOpen } } }")
    assert found["categoryTree"]["items"][1] == {
        "path": ["home", "store"],
        "depth": 1,
        "productCount": 0,
        "isOpen": True,
    }
    change = 'mutation($id: UUID!) { updateCategory(categoryId: $id, change: {slugs: {de: "heim"},'
    change += ' validFrom: "2026-01-01T00:00:00Z"}) { ... on Category { slugs validFrom } ... on Problem { code } } }'
    changed = await keeper.graphql(change, id=home["id"])
    assert changed["updateCategory"] == {"slugs": {"de": "heim"}, "validFrom": "2026-01-01T00:00:00Z"}


@pytest.mark.feature("ACC-1", "ACC-4", "ACC-5")
async def test_nobody_else_sees_or_moves_a_category(
    keeper: Shopkeeper, client: Client, process: topology.Surrounded
) -> None:
    home = await category(keeper, "Home", shops=["main"])
    stranger = await shopkeeper(client, process)
    own = await category(stranger, "Own")
    path = f"categories/{home['id']}/move"
    assert await stranger.code("POST", path, 404, json={"parent_id": None}) == "category_not_found"
    into = {"parent_id": home["id"]}
    assert await stranger.code("POST", f"categories/{own['id']}/move", 404, json=into) == "category_not_found"
    assert await stranger.code("GET", f"categories/tree?root_id={home['id']}", 404) == "category_not_found"
    assert await paths(stranger) == ["own"]
    reader = Shopkeeper(client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:read"))
    assert await reader.code("POST", path, 403, json={"parent_id": None}) == "missing_scope"
    other = await keeper.catalog.open_shop(code="other")
    limited = Shopkeeper(
        client, keeper.catalog, caller_of(keeper.catalog.organization_id, "catalog:write", shop_ids=[other.id])
    )
    assert [c["shops"] for c in await tree(limited)] == [[]]
    assign = {"shops": ["main"]}
    assert await limited.code("POST", f"categories/{home['id']}/assign", 404, json=assign) == "shop_not_found"
