"""The embedded engine alone: words, facets against counting by hand, cursors, and a folder that was left behind."""

import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies
from msgspec.structs import replace

from services.search.engines import counting
from services.search.engines.base import FacetCounts, Found, IndexUnreadable, Question, Tuning
from services.search.engines.matching import choice_keys
from services.search.engines.spelling import mistakes_between
from services.search.engines.tantivy import TantivyIndex, open_index
from services.search.models import GroupOffer, OfferFields, StoredOffer
from shared.contracts.search.shapes import AttributeFilter, OfferFilter, OptionFilter

BRANDS = ("Northwind", "Skerry Looms", "Äther", "O'Neil & Söhne")
COLOURS = ("Red", "Blue", "Grün")
TREE = (("clothing", "knitwear"), ("clothing", "outerwear"), ("home", "kitchen"))


def an_offer(number: int, title: str = "Scarf", **fields: Any) -> StoredOffer:
    """An offer whose document is its number."""
    defaults: dict[str, Any] = {
        "title": title,
        "names": "",
        "text": "",
        "codes": [f"SKU-{number}"],
        "brand": None,
        "categories": [],
        "options": [],
        "price": 1000,
        "is_available": True,
        "is_featured": False,
        "created_milliseconds": 1_577_836_800_000 + number * 64,
    }
    own = OfferFields(**{**defaults, **fields})
    return StoredOffer(f"{number:032x}", number, f"offer-{number}", own, str(number).encode(), b"page")


def index_of(folder: Path, offers: Iterable[StoredOffer], locale: str = "en-US") -> TantivyIndex:
    index = open_index(folder / "index", locale)
    index.apply(list(offers), 1)
    return index


def ask(index: TantivyIndex, words: str = "", **fields: Any) -> Found:
    given = {"filter": OfferFilter(), "sort": "relevance", "first": 100, **fields}
    return index.search(Question(words=words, **given))


def numbers(found: Found) -> list[int]:
    return [int(document) for document in found.documents]


def walk(index: TantivyIndex, words: str = "", **fields: Any) -> list[int]:
    seen, found = [], ask(index, words, first=7, **fields)
    seen += numbers(found)
    while found.next is not None:
        found = ask(index, words, first=7, place=found.next, **fields)
        seen += numbers(found)
    return seen


@pytest.fixture
def many(tmp_path: Path) -> tuple[TantivyIndex, list[StoredOffer]]:
    chance = random.Random(7)
    offers = []
    for number in range(1, 301):
        path = chance.choice(TREE)
        offers.append(
            an_offer(
                number,
                title=f"{chance.choice(['Scarf', 'Sweater', 'Kettle'])} {number}",
                brand=chance.choice([*BRANDS, None]),
                categories=[f"{path[0]}\x1f{path[0].title()}", f"{'/'.join(path)}\x1f{path[1].title()}"],
                options=[f"Colour\x1f{colour}" for colour in chance.sample(COLOURS, chance.randint(0, 3))],
                price=chance.choice([None, *range(100, 30_000, 700)]),
                is_available=chance.random() < 0.8,
                is_featured=chance.random() < 0.1,
            )
        )
    return index_of(tmp_path, offers), offers


@pytest.mark.feature("SEA-2")
def test_words_match_by_stem_beginning_code_and_nearly(tmp_path: Path) -> None:
    index = index_of(
        tmp_path,
        [
            an_offer(1, "Knitted wool sweater", text="A heavy pullover"),
            an_offer(2, "Copper kettle", codes=["KET-2000", "4006381333931"]),
            an_offer(3, "Café table", names="Brasserie"),
        ],
    )
    assert numbers(ask(index, "sweaters")) == [1]
    assert numbers(ask(index, "knit")) == [1]
    assert numbers(ask(index, "wool swea")) == [1]
    assert numbers(ask(index, "pullovers")) == [1]
    assert numbers(ask(index, "swaeter")) == [1]
    assert numbers(ask(index, "coper ketle")) == [2]
    assert numbers(ask(index, "ket-2000")) == [2]
    assert numbers(ask(index, "KET-20")) == [2]
    assert numbers(ask(index, "4006381333931")) == [2]
    assert numbers(ask(index, "cafe")) == [3]
    assert numbers(ask(index, "CAFÉ brasserie")) == [3]
    assert numbers(ask(index, "spaceship")) == []


@pytest.mark.feature("SEA-2")
def test_all_words_are_wanted_and_if_none_has_them_any(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1, "Red scarf"), an_offer(2, "Red kettle"), an_offer(3, "Blue scarf")])
    assert numbers(ask(index, "red scarf")) == [1]
    assert set(numbers(ask(index, "blue kettle"))) == {2, 3}
    # Any word, or nearly all of them, but not nearly any of them: that would find something for everything.
    assert numbers(ask(index, "bluu spaceship")) == []


@pytest.mark.feature("SEA-2")
def test_german_is_read_as_german(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1, "Grüne Wolldecken"), an_offer(2, "Große Töpfe")], locale="de-DE")
    assert numbers(ask(index, "wolldecke")) == [1]
    assert numbers(ask(index, "grün")) == [1]
    assert numbers(ask(index, "topf")) == [2]
    assert numbers(ask(index, "grosse")) == [2]


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("words", ["!!! ???", "\\ \" ' ( [", "a" * 300, "日本語 текст عربى", "\x00", "red AND (", "*"])
def test_odd_words_are_only_words(many: tuple[TantivyIndex, list[StoredOffer]], words: str) -> None:
    assert ask(many[0], words).total == 0


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("words", ["", "scarf"])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"category": ["clothing"]},
        {"category": ["clothing/knitwear", "kitchen"], "brand": ["northwind"]},
        {"brand": ["Northwind", "O'Neil & Söhne"], "price_min": 1000, "price_max": 9000},
        {"options": [{"name": "Colour", "values": ["Red", "grün"]}], "in_stock": True},
        {"price_min": 5000, "price_max": 100},
        {"category": ["nowhere"]},
    ],
)
@pytest.mark.parametrize("few", [1, 50, 10_000])
def test_totals_and_facets_are_what_counting_by_hand_gives(
    many: tuple[TantivyIndex, list[StoredOffer]],
    words: str,
    wanted: dict[str, Any],
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether the index counts what it finds offer by offer, all at once, or some facets so and some so."""
    index, offers = many
    monkeypatch.setattr(counting, "COUNTED_BY_HAND", few)
    index._state.summaries.clear()
    index._state.meant.clear()
    found = ask(index, words, filter=OfferFilter(**wanted))
    matching = [offer for offer in offers if not words or words in offer.fields.title.lower()]
    assert found.total == len([offer for offer in matching if _passes(offer, wanted)])
    counts = found.facets
    assert counts.brands == _tally([[o.fields.brand] for o in matching if _passes(o, wanted, but="brand")])
    assert counts.categories == _tally([o.fields.categories for o in matching if _passes(o, wanted, but="category")])
    assert counts.options == _tally([o.fields.options for o in matching if _passes(o, wanted, but="options")])
    prices = [o.fields.price for o in matching if _passes(o, wanted, but="price") and o.fields.price is not None]
    assert (counts.lowest_price, counts.highest_price) == ((min(prices), max(prices)) if prices else (None, None))
    assert sum(count for _, _, count in counts.prices) == len(prices)
    for low, high, count in counts.prices:
        assert count == len([price for price in prices if low <= price and (high is None or price < high)])


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("sort", ["relevance", "price_asc"])
@pytest.mark.parametrize("words", ["scarf", "scarf kettle", "scrf"])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"category": ["/clothing/knitwear/"], "price_min": 900},
        {"brand": ["NORTHWIND", "äther"], "category": ["kitchen"], "in_stock": False},
        {"attributes": [{"code": "fit", "values": ["Slim", "loose"]}], "price_max": 20_000},
        {"attributes": [{"code": "fit", "values": ["slim"]}, {"code": "made", "values": ["PT"]}], "in_stock": True},
        {"attributes": [{"code": "fit", "values": ["slim"]}], "options": [{"name": "Colour", "values": ["red"]}]},
        {"price_min": 5000, "price_max": 100},
        {"price_min": 0},
    ],
)
def test_what_is_looked_through_by_hand_is_what_the_engine_finds(
    many: tuple[TantivyIndex, list[StoredOffer]],
    words: str,
    wanted: dict[str, Any],
    sort: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index, offers = many
    fits = ("fit\x1fslim\x1fFit\x1fSlim", "fit\x1fLoose\x1fFit\x1fLoose", "made\x1fpt\x1fMade in\x1fPT")
    index.apply(
        [
            replace(offer, fields=replace(offer.fields, attributes=list(fits[place % 4 : place % 7])))
            for place, offer in enumerate(offers)
        ],
        2,
    )
    answers = []
    for few in (1, 10_000):
        monkeypatch.setattr(counting, "COUNTED_BY_HAND", few)
        index._state.summaries.clear()
        index._state.meant.clear()
        answers.append(
            (
                ask(index, words, filter=OfferFilter(**wanted), sort=sort),
                walk(index, words, filter=OfferFilter(**wanted), sort=sort),
            )
        )
    assert answers[0] == answers[1]


def _passes(offer: StoredOffer, wanted: dict[str, Any], but: str = "") -> bool:
    own, within = offer.fields, OfferFilter(**{name: value for name, value in wanted.items() if name != but})
    if but == "price":
        within = within.model_copy(update={"price_min": None, "price_max": None})
    paths = {category.split("\x1f")[0] for category in own.categories}
    names = paths | {path.split("/")[-1] for path in paths}
    has_price = within.price_min is None and within.price_max is None
    if not has_price and own.price is not None:
        has_price = (within.price_min or 0) <= own.price <= (within.price_max or 2**60)
    chosen = {(option.name.lower(), value.lower()) for option in within.options for value in option.values}
    own_options = {tuple(option.lower().split("\x1f")) for option in own.options}
    return (
        (not within.category or bool(names & set(within.category)))
        and (not within.brand or (own.brand or "").lower() in {brand.lower() for brand in within.brand})
        and has_price
        and (within.in_stock is None or own.is_available == within.in_stock)
        and (not chosen or bool(chosen & own_options))
    )


def _tally(values: list[list[str | None]]) -> dict[str, int]:
    return dict(Counter(value for each in values for value in each if value is not None))


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("sort", ["relevance", "price_asc", "price_desc", "newest"])
@pytest.mark.parametrize("words", ["", "scarf"])
def test_a_walk_sees_each_offer_once_in_order(
    many: tuple[TantivyIndex, list[StoredOffer]], words: str, sort: str
) -> None:
    index, offers = many
    own = {offer.number: offer.fields for offer in offers if words in offer.fields.title.lower()}
    seen = walk(index, words, sort=sort)
    assert sorted(seen) == sorted(own)
    prices = [own[number].price for number in seen]
    priced = [price for price in prices if price is not None]
    if sort.startswith("price"):
        assert prices[: len(priced)] == sorted(priced, reverse=sort == "price_desc")
    if sort == "newest":
        assert seen == sorted(seen, reverse=True)
    if sort == "relevance" and not words:
        assert seen == sorted(seen, key=lambda n: (not own[n].is_featured, not own[n].is_available, -n))


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("sort", ["relevance", "newest"])
def test_of_offers_of_one_moment_the_later_one_is_newer(tmp_path: Path, sort: str) -> None:
    at = 1_577_836_800_000
    index = index_of(tmp_path, [an_offer(n, created_milliseconds=at + n) for n in range(1, 31)])
    assert numbers(ask(index, sort=sort)) == list(range(30, 0, -1))
    assert walk(index, sort=sort) == list(range(30, 0, -1))


@pytest.mark.feature("SEA-2")
def test_a_ranked_walk_is_not_disturbed_by_changes(many: tuple[TantivyIndex, list[StoredOffer]]) -> None:
    index, offers = many
    scarves = [offer.number for offer in offers if "Scarf" in offer.fields.title]
    found = ask(index, "scarf", first=7)
    seen = numbers(found)
    index.apply([an_offer(n, "Scarf scarf scarf") for n in range(400, 450)], 2)
    while found.next is not None:
        found = ask(index, "scarf", first=7, place=found.next)
        seen += numbers(found)
    assert sorted(seen) == scarves
    assert ask(index, "scarf").total == len(scarves) + 50


@pytest.mark.feature("SEA-2", "SEA-4")
def test_changes_and_deletions_are_found_and_outlive_the_process(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1, "Scarf"), an_offer(2, "Kettle")])
    gone = StoredOffer(f"{2:032x}", 2, "", None, b"", b"")
    index.apply([an_offer(1, "Shawl"), gone], 5)
    index.apply([an_offer(1, "Shawl"), gone], 5)
    assert ask(index).total == 1
    assert (index.page("offer-1"), index.page("offer-2")) == (b"page", None)
    index.close()
    again = open_index(tmp_path / "index", "en-US")
    assert again.sequence == 5
    assert numbers(ask(again, "shawl")) == [1]


@pytest.mark.feature("SEA-2")
def test_a_folder_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    index_of(tmp_path, [an_offer(1)]).close()
    (tmp_path / "index" / "meta.json").write_text("{")
    again = open_index(tmp_path / "index", "en-US")
    assert (again.sequence, ask(again).total) == (0, 0)


@pytest.mark.feature("SEA-2", "SEA-5")
@pytest.mark.parametrize("is_open", [True, False], ids=["while it is open", "while nobody has it open"])
def test_a_folder_that_somebody_else_wrote_to_is_not_taken_for_ours(tmp_path: Path, *, is_open: bool) -> None:
    """Another version's, or none of our offers: taken over, all but the next change would be lost without a word."""
    index = index_of(tmp_path, [an_offer(1), an_offer(2)])
    index.rest()
    index_of(tmp_path / "other", []).close()
    shutil.copy(tmp_path / "other" / "index" / "meta.json", tmp_path / "index" / "meta.json")
    if not is_open:
        again = open_index(tmp_path / "index", "en-US")
        assert (again.sequence, ask(again).total) == (0, 0)
        return
    with pytest.raises(IndexUnreadable):
        index.apply([an_offer(3)], 9)
    assert sorted(numbers(ask(index))) == [1, 2]
    index.close()


@pytest.mark.feature("SEA-2")
def test_an_index_rests_and_goes_on(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1)])
    for number in range(2, 6):
        index.apply([an_offer(number)], number)
        index.rest()
    assert ask(index).total == 5
    index.close()
    again = open_index(tmp_path / "index", "en-US")
    assert (again.sequence, ask(again).total) == (5, 5)
    again.apply([an_offer(6)], 6)
    assert ask(again).total == 6
    again.close()


@pytest.mark.feature("SEA-2")
def test_two_filters_of_one_option_are_one(many: tuple[TantivyIndex, list[StoredOffer]]) -> None:
    apart = [OptionFilter(name="Colour", values=["Red"]), OptionFilter(name="colour", values=["Blue"])]
    together = [OptionFilter(name="Colour", values=["Red", "Blue"])]
    index = many[0]
    found = ask(index, filter=OfferFilter(options=apart))
    assert found.total == ask(index, filter=OfferFilter(options=together)).total > 0


@pytest.mark.feature("SEA-2")
def test_an_index_is_closed_while_rows_are_taken_over(tmp_path: Path) -> None:
    """As by a process that ends, and waits no longer for its threads."""
    index = index_of(tmp_path, [])
    offers = [an_offer(number) for number in range(3000)]
    failed: list[BaseException] = []

    def take_over() -> None:
        try:
            index.apply(offers, 2)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=take_over)
    thread.start()
    while index._writer is None and thread.is_alive():
        time.sleep(0)
    index.close()
    thread.join()
    assert failed == []
    assert ask(index).total == 3000


@pytest.mark.feature("SEA-2")
def test_an_index_whose_folder_was_taken_away_says_so_and_closes(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1)])
    shutil.rmtree(tmp_path / "index")
    for number in range(2, 6):
        with pytest.raises(IndexUnreadable):
            index.apply([an_offer(n) for n in range(number * 1000, number * 1000 + 1000)], number)
    # What was found before is found still, and whoever fills another one can let go of this.
    assert numbers(ask(index)) == [1]
    index.close()


# --- spelling

GOODS = {1: "Wool scarf", 2: "Wool sweater", 3: "Woodstove kettle", 4: "Bobble hat", 5: "Bommelmütze"}


@pytest.fixture
def goods(tmp_path: Path) -> TantivyIndex:
    return index_of(tmp_path, [an_offer(number, title) for number, title in GOODS.items()])


@pytest.mark.feature("SEA-2")
def test_a_beginning_goes_on_as_offers_have_it(goods: TantivyIndex) -> None:
    assert goods.completions("wo", 8) == [("wool", 2), ("woodstove", 1)]
    assert goods.completions("wo", 1) == [("wool", 2)]
    # Only with words that stand beside the others.
    assert goods.completions("Wool s", 8) == [("wool scarf", 1), ("wool sweater", 1)]
    assert goods.completions("kettle s", 8) == []
    assert goods.completions("bommelm", 8) == [("bommelmütze", 1)]


@pytest.mark.feature("SEA-2")
def test_singular_and_plural_are_suggested_once(tmp_path: Path) -> None:
    titles = ["Wool scarf", "Silk scarf", "Two scarfs", "Scarfs of silk", "Grey scarfs", "Scaffold"]
    index = index_of(tmp_path, [an_offer(number, title) for number, title in enumerate(titles, 1)])
    assert index.completions("sca", 8) == [("scarfs", 3), ("scaffold", 1)]
    assert index.completions("sca", 1) == [("scarfs", 3)]
    assert index.completions("wool sca", 8) == [("wool scarf", 1)]


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("nothing_to_complete", ["wool ", "", " ", "%&/", "zzz"])
def test_what_is_finished_or_no_word_has_no_completions(goods: TantivyIndex, nothing_to_complete: str) -> None:
    assert goods.completions(nothing_to_complete, 8) == []


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("wol scarf", None),
        ("wolo scarf", "wool scarf"),
        ("scraf", "scarf"),
        ("sweatre", "sweater"),
        ("bommelmuetze", "bommelmütze"),
        ("kettel bobbel", "kettle bobble"),
        # As offers have it, by its stem too; and nothing near at all.
        ("scarves", None),
        ("wool", None),
        ("xylophone", None),
        ("SKU-1", None),
    ],
)
def test_a_word_that_no_offer_has_is_corrected(goods: TantivyIndex, typed: str, meant: str | None) -> None:
    assert goods.correction(typed) == meant


@pytest.mark.feature("SEA-2")
def test_of_words_that_are_as_near_the_one_beside_the_others_is_meant(tmp_path: Path) -> None:
    titles = ("Bread knife", "Breed guide", "Breed atlas", "Breed")
    index = index_of(tmp_path, [an_offer(number, title) for number, title in enumerate(titles)])
    assert index.correction("brexd") == "breed"
    assert index.correction("brexd knife") == "bread knife"


@given(strategies.text("abc", max_size=6), strategies.text("abc", max_size=6))
@pytest.mark.feature("SEA-2")
def test_mistakes_are_counted_as_they_are_defined(one: str, other: str) -> None:
    """Against the definition of the optimal string alignment distance, written as a recursion."""

    @cache
    def distance(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        found = min(
            distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        )
        if i > 1 and j > 1 and one[i - 1] == other[j - 2] and one[i - 2] == other[j - 1]:
            found = min(found, distance(i - 2, j - 2) + 1)
        return found

    expected = distance(len(one), len(other))
    assert mistakes_between(one, other, 2) == (expected if expected <= 2 else None)


# --- tuning


def tuned(**others: tuple[str, ...]) -> Tuning:
    return Tuning(1, {phrase.replace("_", " "): also for phrase, also in others.items()})


@pytest.mark.feature("SEA-2")
def test_words_that_mean_the_same_find_each_other(tmp_path: Path) -> None:
    titles = ("Sofa", "Grey couch", "Settee cover", "Bean bag", "Pouffe")
    index = index_of(tmp_path, [an_offer(number, title) for number, title in enumerate(titles)])
    assert numbers(ask(index, "couch")) == [1]
    same = tuned(sofa=("couch", "bean bag"), couch=("sofa", "bean bag"), bean_bag=("sofa", "couch"))
    assert set(numbers(ask(index, "couch", tuning=same))) == {0, 1, 3}
    # By every form of the word, as a phrase, and beside other words.
    assert set(numbers(ask(index, "Sofas", tuning=same))) == {0, 1, 3}
    assert set(numbers(ask(index, "bean bags", tuning=same))) == {0, 1, 3}
    assert numbers(ask(index, "grey sofa", tuning=same)) == [1]
    # What was looked for comes first; half a phrase is none.
    assert numbers(ask(index, "couch", tuning=same))[0] == 1
    assert numbers(ask(index, "bean", tuning=same)) == [3]
    # One way only; and with another tuning, at once.
    assert numbers(ask(index, "pouffe", tuning=Tuning(2, {"pouffe": ("settee",)}))) in ([4, 2], [2, 4])
    assert numbers(ask(index, "settee", tuning=Tuning(2, {"pouffe": ("settee",)}))) == [2]
    assert numbers(ask(index, "couch", tuning=Tuning(3))) == [1]


@pytest.mark.feature("SEA-2")
def test_a_synonym_of_no_words_changes_nothing(tmp_path: Path) -> None:
    index = index_of(tmp_path, [an_offer(1, "Sofa")])
    nothing = Tuning(1, {"%": ("couch",), "sofa": ("!!",)})
    assert numbers(ask(index, "sofa", tuning=nothing)) == [1]
    assert numbers(ask(index, "couch", tuning=nothing)) == []


def slugs(*given: int) -> tuple[str, ...]:
    return tuple(f"offer-{number}" for number in given)


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize("words", ["", "scarf"])
@pytest.mark.parametrize("first", [1, 2, 3, 4, 7, 100])
def test_pinned_offers_come_first_and_each_offer_once(tmp_path: Path, words: str, first: int) -> None:
    index = index_of(tmp_path, [an_offer(number, "Scarf") for number in range(12)])
    plain = numbers(ask(index, words))
    pins = slugs(7, 99, 3, 11)
    found = ask(index, words, first=first, pins=pins)
    seen = numbers(found)
    assert found.total == 12
    while found.next is not None:
        found = ask(index, words, first=first, pins=pins, place=found.next)
        assert len(found.documents) > 0
        seen += numbers(found)
    assert seen[:3] == [7, 3, 11]
    assert sorted(seen[3:]) == sorted(set(range(12)) - {7, 3, 11})
    if not words:
        assert seen[3:] == [number for number in plain if number not in (7, 3, 11)]


@pytest.mark.feature("SEA-2")
def test_pinned_offers_count_within_the_filter_and_need_not_match(tmp_path: Path) -> None:
    offers = [
        an_offer(1, "Scarf", brand="Northwind"),
        an_offer(2, "Hat", brand="Northwind"),
        an_offer(3, "Glove", brand="Other"),
    ]
    index = index_of(tmp_path, offers)
    found = ask(index, "scarf", pins=slugs(3, 2))
    assert (numbers(found), found.total) == ([3, 2, 1], 3)
    assert found.facets.brands == {"Northwind": 2, "Other": 1}
    within = ask(index, "scarf", pins=slugs(3, 2), filter=OfferFilter(brand=["northwind"]))
    assert (numbers(within), within.total) == ([2, 1], 2)
    assert within.facets.brands == {"Northwind": 2, "Other": 1}
    # In an order of their own buyers see that order.
    assert numbers(ask(index, "scarf", pins=slugs(3, 2), sort="newest")) == [1]
    # With nothing but pins, too.
    only = ask(index, "xylophone", pins=slugs(2))
    assert (numbers(only), only.total, only.next) == ([2], 1, None)


@pytest.mark.feature("SEA-2")
def test_what_is_boosted_comes_before_what_matches_as_well(tmp_path: Path) -> None:
    offers = [
        an_offer(1, "Wool scarf", brand="Other", categories=["home\x1fHome\x1f0"]),
        an_offer(2, "Wool scarf", brand="Northwind", categories=["home\x1fHome\x1f0"]),
        an_offer(3, "Wool scarf", brand="Other", categories=["sale/knit\x1fKnit\x1f0", "sale\x1fSale\x1f0"]),
        an_offer(4, "Hat", text="goes with a scarf", brand="Northwind"),
    ]
    index = index_of(tmp_path, offers)
    by_brand = Tuning(1, boosted_brands={"NORTHWIND": 1.5})
    found = ask(index, "scarf", tuning=by_brand)
    assert (numbers(found)[0], numbers(found)[-1], found.total) == (2, 4, 4)
    both = Tuning(2, boosted_brands={"northwind": 1.5}, boosted_categories={"sale": 3.0})
    assert numbers(ask(index, "scarf", tuning=both))[:2] == [3, 2]
    # Neither the counts nor a list without words know of it.
    assert found.facets.brands == ask(index, "scarf").facets.brands
    assert numbers(ask(index, tuning=both)) == numbers(ask(index))


# --- attributes


def a_fact(code: str, value: str, label: str = "", text: str = "") -> str:
    return "\x1f".join((code, value, label or code.title(), text or value))


@pytest.mark.feature("SEA-2", "CAT-1")
def test_attributes_narrow_and_count_like_options(tmp_path: Path) -> None:
    wool, oak = a_fact("material", "wool", "Material", "Wolle"), a_fact("material", "oak", "Material", "Eiche")
    slim, wide = a_fact("fit", "slim"), a_fact("fit", "wide")
    facts = [[wool, slim], [wool, wide], [oak], []]
    index = index_of(tmp_path, [an_offer(number, attributes=own) for number, own in enumerate(facts)])
    assert ask(index).facets.attributes == {wool: 2, oak: 1, slim: 1, wide: 1}

    def within(**wanted: list[str]) -> Found:
        attributes = [AttributeFilter(code=code, values=values) for code, values in wanted.items()]
        return ask(index, filter=OfferFilter(attributes=attributes))

    found = within(material=["Wool"])
    assert set(numbers(found)) == {0, 1}
    # Its own counts leave the filter out; those of others do not.
    assert found.facets.attributes == {wool: 2, oak: 1, slim: 1, wide: 1}
    both = within(material=["wool", "oak"], fit=["slim"])
    assert set(numbers(both)) == {0}
    assert both.facets.attributes == {wool: 1, slim: 1, wide: 1}
    assert within(weave=["plain"]).total == 0


# --- languages

JAPANESE = ("ウールのセーター", "雨傘 大", "綿のシャツ", "ｳｰﾙ手袋", "Wool 靴下")


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("セーター", {0}),
        ("ウール", {0, 3}),
        ("ｳｰﾙ", {0, 3}),
        ("ウール セーター", {0}),
        ("傘", {1}),
        ("雨傘大", set()),
        ("wool", {4}),
        # A Latin word is found whole, not by letters that others have, too.
        ("loow", set()),
        ("olow", set()),
        ("ＷＯＯＬ靴下", {4}),
        ("シャツ綿", set()),
    ],
)
def test_what_has_no_spaces_is_found_by_pairs_of_letters(tmp_path: Path, words: str, found: set[int]) -> None:
    index = index_of(tmp_path, [an_offer(n, title) for n, title in enumerate(JAPANESE)], locale="ja-JP")
    matched = ask(index, words)
    assert (set(numbers(matched)) if matched.stage == "words" else set()) == found


@pytest.mark.feature("SEA-2")
@pytest.mark.parametrize(
    ("locale", "title", "words"),
    [
        ("en-US", "Knitted sweaters", "sweater knit"),
        ("de-DE", "Gewachste Jacken", "gewachste Jacke"),
        ("fr-FR", "Écharpes tricotées", "echarpe tricotée"),
        ("es-ES", "Bufandas de lana", "bufanda"),
        ("nl-NL", "Wollen truien", "trui"),
        ("pl-PL", "Wełniany szalik", "wełniany"),
        ("fr-FR", "Cafe\u0301 moulu", "café"),
        ("fr-FR", "Café moulu", "cafe\u0301"),
        ("gsw-CH", "Wullige Schal", "schal"),
    ],
)
def test_words_are_found_by_their_language_s_forms(tmp_path: Path, locale: str, title: str, words: str) -> None:
    matched = ask(index_of(tmp_path, [an_offer(1, title)], locale=locale), words)
    assert (numbers(matched), matched.stage) == ([1], "words")


@pytest.mark.feature("SEA-1", "SEA-2")
@pytest.mark.parametrize("words", ["", "scarf"])
@pytest.mark.parametrize("sort", ["relevance", "price_asc", "price_desc", "newest"])
def test_what_is_sold_out_comes_last_in_every_order_page_by_page(tmp_path: Path, words: str, sort: str) -> None:
    chance = random.Random(11)
    offers = []
    for number in range(1, 121):
        is_sold_out = number % 3 == 0
        # The best that words can find, featured, cheap and dear are among them.
        title = "Scarf" if is_sold_out else f"Knitted thing {number} with a long name and somewhere a scarf"
        offers.append(
            an_offer(
                number,
                title=title,
                price=chance.choice([None, 0, 1, 5000, 2**40]) if is_sold_out else chance.randint(1, 4000),
                is_sold_out=is_sold_out,
                is_available=not is_sold_out and number % 5 > 0,
                is_featured=is_sold_out,
            )
        )
    index = index_of(tmp_path, offers)
    seen = walk(index, words, sort=sort)
    assert sorted(seen) == list(range(1, 121))
    assert all(number % 3 for number in seen[:80])
    assert not any(number % 3 for number in seen[80:])
    if sort == "newest":
        assert seen[80:] == sorted(seen[80:], reverse=True)
    pinned = walk(index, words, sort=sort, pins=("offer-3", "offer-7"))
    assert sorted(pinned) == list(range(1, 121))
    assert not any(number % 3 for number in pinned[80:])
    if sort == "relevance":
        assert pinned[0] == 7


@pytest.mark.feature("SEA-2", "SEA-3")
def test_a_customer_group_finds_and_orders_by_its_own_prices(tmp_path: Path) -> None:
    def for_group(group: str, number: int, **fields: Any) -> GroupOffer:
        own = an_offer(number, **fields)
        return GroupOffer(group, own.fields, f"{number}00".encode(), b"page of " + group.encode())

    offers = [an_offer(number, "Oak table", price=1000 * number, brand="Northwind") for number in range(1, 5)]
    trade = for_group("trade", 4, title="Oak table", price=500, brand="Northwind")
    offers[3] = replace(offers[3], groups=(trade,))
    # For the staff it is no offer at all.
    offers[2] = replace(offers[2], groups=(GroupOffer("staff", None, b"", b""),))
    index = index_of(tmp_path, offers)
    for words in ("", "oak"):
        assert numbers(ask(index, words, sort="price_asc")) == [1, 2, 3, 4]
        assert numbers(ask(index, words, sort="price_asc", group="trade")) == [400, 1, 2, 3]
        assert numbers(ask(index, words, sort="price_asc", group="staff")) == [1, 2, 4]
        assert walk(index, words, sort="price_desc", group="trade") == [3, 2, 1, 400]
        cheap = OfferFilter(price_max=999)
        assert numbers(ask(index, words, filter=cheap)) == []
        found = ask(index, words, filter=cheap, group="trade")
        assert (numbers(found), found.total, found.facets.brands) == ([400], 1, {"Northwind": 1})
        assert ask(index, words, group="trade").facets.lowest_price == 500
        assert ask(index, words, group="trade").facets.brands == {"Northwind": 4}
        assert ask(index, words, group="staff").total == 3
        pinned = {"pins": ("offer-4", "offer-3")}
        assert numbers(ask(index, words, group="trade", **pinned))[:2] == [400, 3]
        assert numbers(ask(index, words, group="staff", **pinned))[0] == 4
        assert sorted(walk(index, words, group="staff", **pinned)) == [1, 2, 4]
    assert index.page("offer-4") == b"page"
    assert index.page("offer-4", "trade") == b"page of trade"
    assert index.page(offers[3].product_id, "trade") == b"page of trade"
    assert index.page("offer-1", "trade") == b"page"
    assert index.page("offer-3", "staff") is None
    assert index.page(offers[2].product_id, "staff") is None
    assert index.with_codes(["SKU-4"]) == [b"4"]
    assert index.with_codes(["SKU-4", "SKU-1"], "trade") in ([b"400", b"1"], [b"1", b"400"])
    assert index.completions("oa", 5) == [("oak", 4)]
    assert [index.has_group(group) for group in ("trade", "staff", "others")] == [True, True, False]
    # What a group had goes with the offer, and with its own prices.
    index.apply([replace(offers[3], groups=()), StoredOffer(offers[2].product_id, 3, "", None, b"", b"")], 2)
    assert numbers(ask(index, sort="price_asc", group="trade")) == [1, 2, 4]
    assert not index.has_group("trade")


@pytest.mark.feature("SEA-2")
def test_options_hold_for_one_variant_together_and_facets_count_by_hand(tmp_path: Path) -> None:
    chance = random.Random(3)
    values = {"Colour": ("Red", "Blue", "Green"), "Size": ("S", "M", "L"), "Cut": ("Slim", "Wide")}
    offers, variants = [], {}
    for number in range(1, 201):
        names = chance.sample(sorted(values), chance.randint(1, 3))
        own = [{name: chance.choice(values[name]) for name in names} for _ in range(chance.randint(1, 4))]
        variants[number] = own
        choices = [[f"{name}\x1f{value}" for name, value in each.items()] for each in own]
        options = sorted({pair for choice in choices for pair in choice})
        choices = [choice for choice in choices if len(choice) > 1]
        offers.append(an_offer(number, options=options, choices=choices))
    index = index_of(tmp_path, offers)

    def fits(number: int, wanted: dict[str, list[str]]) -> bool:
        return any(all(each.get(name) in some for name, some in wanted.items()) for each in variants[number])

    for wanted in (
        {"Colour": ["Red"], "Size": ["L"]},
        {"Colour": ["Red", "Blue"], "Size": ["L", "S"]},
        {"Colour": ["Red"], "Size": ["L"], "Cut": ["Slim"]},
        {"Colour": ["Red"]},
        {"Colour": ["Red"], "Weight": ["1"]},
    ):
        asked = OfferFilter(
            options=[OptionFilter(name=name.upper(), values=[v.lower() for v in some]) for name, some in wanted.items()]
        )
        found = ask(index, filter=asked, sort="newest", first=100)
        expected = [number for number in sorted(variants, reverse=True) if fits(number, wanted)]
        assert (numbers(found), found.total) == (expected[:100], len(expected))
        counted = {
            f"{name}\x1f{value}": count
            for name, some in values.items()
            for value in some
            if (count := sum(fits(number, {**wanted, name: [value]}) for number in variants))
        }
        assert found.facets.options == counted


@pytest.mark.feature("SEA-2")
@given(strategies.lists(strategies.tuples(strategies.sampled_from("ab"), strategies.sampled_from("xy")), max_size=3))
def test_a_choice_is_the_same_in_whatever_order_it_is_named(options: list[tuple[str, str]]) -> None:
    named = [f"{name}\x1f{value}" for name, value in dict(options).items()]
    assert set(choice_keys(named)) == set(choice_keys(named[::-1]))
    assert len(set(choice_keys(named))) == (1 if len(named) == 2 else 0)


@pytest.mark.feature("SEA-2")
def test_without_facets_none_are_counted_and_the_rest_is_the_same(many: tuple[TantivyIndex, list[StoredOffer]]) -> None:
    for words, wanted in (("", OfferFilter()), ("scarf", OfferFilter(brand=["northwind"]))):
        whole, bare = (ask(many[0], words, filter=wanted, facets=facets, first=7) for facets in (True, False))
        assert (bare.documents, bare.total, bare.next) == (whole.documents, whole.total, whole.next)
        assert whole.facets.brands
        assert bare.facets == FacetCounts()


@pytest.mark.feature("SEA-8")
def test_what_more_follows_is_found_with_it_and_nothing_is_lost_when_it_never_comes(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", "en-US")
    index.apply([an_offer(1), an_offer(2)], 2, is_more=True)
    assert (index.sequence, ask(index).total) == (0, 0)
    index.apply([an_offer(3), StoredOffer(f"{2:032x}", 2, "", None, b"", b"")], 4)
    assert (index.sequence, numbers(ask(index, sort="newest"))) == (4, [3, 1])
    index.apply([an_offer(4)], 5, is_more=True)
    # A process that ends here goes on from what was committed, and takes the rest over again.
    # What the engine is writing aside at this moment is nothing that is left.
    shutil.copytree(tmp_path / "index", tmp_path / "left", ignore=shutil.ignore_patterns(".tmp*"))
    again = open_index(tmp_path / "left", "en-US")
    assert (again.sequence, ask(again).total) == (4, 2)
    again.apply([an_offer(4)], 5)
    assert numbers(ask(again, sort="newest")) == [4, 3, 1]
    index.apply([], 5)
    assert numbers(ask(index, sort="newest")) == [4, 3, 1]


@pytest.mark.feature("SEA-8")
def test_an_offer_that_changes_or_goes_while_its_index_fills_is_there_as_it_last_was(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index", "en-US")
    index.apply([an_offer(number, "Scarf") for number in (1, 2, 3)], 3, is_more=True)
    gone = replace(an_offer(3), fields=None, document=b"", page=b"")
    index.apply([an_offer(2, "Shawl"), gone], 5, is_more=True)
    index.apply([], 5)

    assert sorted(numbers(ask(index))) == [1, 2]
    assert numbers(ask(index, "shawl")) == [2]
    # What was filled before it was opened is not filled anew.
    index.close()
    again = open_index(tmp_path / "index", "en-US")
    again.apply([an_offer(1, "Stole")], 6, is_more=True)
    again.apply([], 6)
    assert sorted(numbers(ask(again))) == [1, 2]
    assert numbers(ask(again, "scarf")) == []
