"""How a merchant tunes a shop's search: kept here, and handed to every reader with its next look."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from services.search.engines.base import NO_TUNING, NamedBy, Tuning
from services.search.errors import PinnedTwice, SearchTuningChangedSince, ShopNotFound
from services.search.repository import marks, shops, tunings
from services.search.repository.shops import KnownShop
from services.search.repository.tunings import Tuned
from services.search.use_cases.builder import build_soon
from shared.contracts.search.tuning import GetSearchTuning, PinnedOffers, SearchTuning, SetSearchTuning, UnknownName
from shared.unit_of_work import UnitOfWork

# Slugs, brands or categories of a tuning, and whether the shop sells anything of that name now.
Knowing = Callable[[Sequence[tuple[NamedBy, str]]], Sequence[int]]


async def get(uow: UnitOfWork, message: GetSearchTuning, unknown_among: Knowing) -> SearchTuning:
    """Raises ShopNotFound."""
    shop = await _shop(uow, message.shop)
    tuned = await tunings.get(uow, shop.id)
    return _shape(shop, shop.tuning_version, tuned, await _unknown(tuned, unknown_among))


async def put(uow: UnitOfWork, message: SetSearchTuning, unknown_among: Knowing) -> SearchTuning:
    """Raises ShopNotFound, SearchTuningChangedSince, PinnedTwice."""
    _refuse_twice(message.pins)
    tuned = Tuned(message.synonyms, message.pins, message.boosts, message.sold_out)
    unknown = await _unknown(tuned, unknown_among)
    shop = await _shop(uow, message.shop)
    version = await tunings.lock_version(uow, shop.id)
    if message.expected_version not in (None, version):
        raise SearchTuningChangedSince(f"The tuning has version {version} now; read it again.")
    before = await tunings.get(uow, shop.id)
    new = await tunings.put(uow, shop.id, tuned)
    if tuned.sold_out != before.sold_out:
        build_soon(uow, await marks.leave_all(uow, [shop.id]))
    uow.audit("search.tune", "shop", shop.id, before=_counted(before, version), after=_counted(tuned, new))
    return _shape(shop, new, tuned, unknown)


async def _unknown(tuned: Tuned, unknown_among: Knowing) -> list[UnknownName]:
    """In a thread: a tuning may name twenty thousand things."""
    named = list(_named(tuned))
    places = await asyncio.to_thread(unknown_among, [(by, name) for _, by, name in named])
    return [UnknownName(pointer=named[place][0], name=named[place][2]) for place in places]


def _named(tuned: Tuned) -> Iterator[tuple[str, NamedBy, str]]:
    """What a tuning names, each with where."""
    for number, pinned in enumerate(tuned.pins):
        if pinned.category is not None:
            yield f"/pins/{number}/category", "category", pinned.category
        for place, slug in enumerate(pinned.slugs):
            yield f"/pins/{number}/slugs/{place}", "slug", slug
    for number, boost in enumerate(tuned.boosts):
        if boost.brand is not None:
            yield f"/boosts/{number}/brand", "brand", boost.brand
        if boost.category is not None:
            yield f"/boosts/{number}/category", "category", boost.category


def _shape(shop: KnownShop, version: int, tuned: Tuned, unknown: list[UnknownName]) -> SearchTuning:
    return SearchTuning(
        shop=shop.code,
        version=version,
        synonyms=tuned.synonyms,
        pins=tuned.pins,
        boosts=tuned.boosts,
        sold_out=tuned.sold_out,
        unknown=unknown,
    )


def _counted(tuned: Tuned, version: int) -> dict[str, Any]:
    """As much of a tuning as an audit keeps: it may have thousands of lines."""
    kept = {name: len(value) if isinstance(value, list) else value for name, value in tuned.as_stored().items()}
    return {"version": version, **kept}


async def _shop(uow: UnitOfWork, code: str) -> KnownShop:
    shop = await shops.find_by_code(uow, code)
    if shop is None:
        raise ShopNotFound(f"There is no shop '{code}'.")
    uow.caller.require_shop(shop.id)
    return shop


def _refuse_twice(pins: list[PinnedOffers]) -> None:
    """Two lists for one place would leave it to chance which is meant."""
    seen: set[tuple[str, str]] = set()
    for number, each in enumerate(pins):
        place = ("query", normalized(each.query)) if each.query else ("category", str(each.category).strip("/"))
        if place in seen:
            raise PinnedTwice(
                f"Offers are pinned twice for the {place[0]} '{place[1]}'.",
                [{"pointer": f"/pins/{number}", "code": "pinned_twice", "message": "This place has a list already."}],
            )
        seen.add(place)


def normalized(words: str) -> str:
    """A query as it is told from others: without regard to case and to the spaces between its words."""
    return " ".join(words.casefold().split())


async def of_shop(uow: UnitOfWork, shop: KnownShop) -> Tuning:
    """What a reader of the shop's index is tuned by."""
    if shop.tuning_version == 0:
        return NO_TUNING
    tuned = await tunings.get(uow, shop.id)
    others: dict[str, list[str]] = {}
    for each in tuned.synonyms:
        for word in each.words:
            meant = each.also or each.words
            others.setdefault(word, []).extend(other for other in meant if other != word)
    return Tuning(
        shop.tuning_version,
        {word: tuple(dict.fromkeys(also)) for word, also in others.items()},
        {normalized(each.query): tuple(each.slugs) for each in tuned.pins if each.query},
        {each.category.strip("/"): tuple(each.slugs) for each in tuned.pins if each.category},
        {each.brand: each.factor for each in tuned.boosts if each.brand},
        {each.category.strip("/"): each.factor for each in tuned.boosts if each.category},
    )


def pins_of(tuning: Tuning, words: str, categories: list[str]) -> tuple[str, ...]:
    """The offers that come first for these words; without any, for the one category that is looked at."""
    if words.strip():
        return tuning.pins_of_queries.get(normalized(words), ())
    return tuning.pins_of_categories.get(categories[0].strip("/"), ()) if len(categories) == 1 else ()
