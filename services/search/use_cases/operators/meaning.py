"""What sets stand for to whoever names them: some documents to be in, others not; and what they are called.

Who is confined to some shops sees of connections those of these shops: a platform is their connections to it.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.catalog.product_sets import CATEGORY, CONNECTION_SETS, ISSUES, PLATFORMS, is_of_connections
from shared.contracts.sync.standings import GetNamedConnections, NamedConnection
from shared.unit_of_work import UnitOfWork

_WITH_ISSUES = f"with:{ISSUES}"


@dataclass(frozen=True)
class Meaning:
    """In one of each of `within`, and in none of `without`."""

    within: Sequence[Sequence[str]]
    without: Sequence[str]


async def meaning(uow: UnitOfWork, sets: Sequence[str], shop_ids: Collection[UUID] | None) -> Meaning:
    """What sets mean that intersect, to who is confined to these shops, or (None) to none. Only before `uow` opens."""
    within = [name for name in sets if not name.startswith("without:")]
    without = [f"with:{name.removeprefix('without:')}" for name in sets if name.startswith("without:")]
    if shop_ids is None or not any(map(is_of_connections, sets)):
        return Meaning([[name] for name in within], without)
    seen = await connections_of(uow, shop_ids)
    return Meaning(
        [_narrowed(name, seen) for name in within], [each for name in without for each in _narrowed(name, seen)]
    )


async def connections_of(uow: UnitOfWork, shop_ids: Collection[UUID] | None) -> list[NamedConnection]:
    """Those that who is confined to these shops sees."""
    question = GetNamedConnections(shop_ids=None if shop_ids is None else sorted(shop_ids))
    return (await uow.ask(question)).connections


def _narrowed(name: str, seen: Iterable[NamedConnection]) -> list[str]:
    """The sets of single connections that a set stands for."""
    if not is_of_connections(name):
        return [name]
    if name == _WITH_ISSUES:
        return [f"{ISSUES}:{each.id}" for each in seen]
    kind, place, *path = name.split(":", 2)
    meant = [each for each in seen if place.lower() in (each.platform, str(each.id))]
    return [":".join((kind, str(each.id), *path)) for each in meant]


# --- what they are called

_OF_CONNECTIONS = {
    "on": "On {}",
    "published": "Published on {}",
    "unpublished": "Unpublished on {}",
    "in_category": "In a category on {}",
    "without_category": "Without a category on {}",
    "pending_update": "Updates wait for {}",
    "pending_create": "To be made on {}",
    "issues": "Issues on {}",
}
_SAID = {
    "stock:in": "In stock",
    "stock:low": "Low in stock",
    "stock:out": "Out of stock",
    "price:low": "Priced below cost",
    "price:bad": "Without a price, or for nothing",
}


def place_names(connections: Iterable[NamedConnection]) -> dict[str, str]:
    """What platforms, and connections by their ids, are called."""
    names: dict[str, str] = {}
    for each in connections:
        names |= {each.platform: each.platform_title, str(each.id): each.name}
    return names


def label_of(name: str, places: Mapping[str, str]) -> str | None:
    """What a set is called; None: it is of a connection that is not among these places."""
    kind, _, value = name.partition(":")
    if kind in CONNECTION_SETS:
        return _OF_CONNECTIONS[kind].format(places[value]) if value in places else None
    if kind == CATEGORY:
        place, _, path = value.partition(":")
        return f"In {path} on {places[place]}" if place in places else None
    if name in _SAID:
        return _SAID[name]
    if not value:
        return name.replace("_", " ").capitalize()
    if kind in ("with", "without"):
        return f"{kind.capitalize()} {value.replace('_', ' ')}"
    return f"{kind.capitalize()}: {value}"


def is_of_place(name: str) -> bool:
    """Whether a set names a platform or a connection."""
    return name.partition(":")[0] in (*CONNECTION_SETS, CATEGORY)


def is_sentence(name: str) -> bool:
    """Whether people know a set by what it is called, and not by its value."""
    return is_of_place(name) or name in _SAID or ":" not in name


# Few, whatever there is of everything else; people know them by what they are called.
_FEW = "|".join(sorted({*CONNECTION_SETS, *(name.partition(":")[0] for name in _SAID), "with", "status"}))


# Of what was typed so many characters narrow enough; automata of more grow large.
_NARROWING = 6


def pattern(typed: str) -> str | None:
    """A regular expression of at least those sets that may be meant by what was typed; None: any.

    Of millions of products there are more sets than can be looked through one by one.
    """
    wanted = typed.strip()
    if not wanted:
        return None
    # In a category, by what that is called.
    path = wanted[3:] if wanted.lower().startswith("in ") else wanted
    # What ends with an s may go on with another one, which is one letter with it.
    parts = dict.fromkeys(text[:_NARROWING].rstrip("sS") for text in (wanted, path.partition(" on ")[0]))
    if "" in parts:
        return None
    return "|".join((f"({_FEW}):.*", *(f"(?is:.*{_literally(part)}.*)" for part in parts)))


def _literally(text: str) -> str:
    return "".join(
        _SHARP_S if len(each) == 2 or each == "ß" else f"\\x{{{ord(each):x}}}" for each in _LETTER.findall(text)
    )


_LETTER = re.compile("(?is)ss|.")
_SHARP_S = "(ss|ß|ẞ)"


def is_shown(name: str, *, is_confined: bool) -> bool:
    """Whether a set is suggested: to who is confined, of connections only single ones."""
    if not is_confined or not is_of_connections(name):
        return True
    return not name.endswith(f":{ISSUES}") and name.split(":", 2)[1] not in PLATFORMS
