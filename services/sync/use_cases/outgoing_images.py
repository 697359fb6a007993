"""Pictures of a product, ours beside the platform's: which is which, what is to be there, and what was ours once.

A picture is known by its address: by ours, or by the one that the platform gave it when it was put there. None is ever
taken away by a list: what the platform has beside ours stays behind ours, in its order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Image = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """What is to be there, by the platform's addresses where it has them; ours with theirs; and what was ours once."""

    images: list[Image]
    addresses: dict[str, str]
    left_over: list[Image]


def beside(wanted: Sequence[Mapping[str, Any]], there: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> Beside:
    """`known` are addresses of ours with those that the platform gave them."""
    by_address = {plain(image["url"]): dict(image) for image in there}
    addresses: dict[str, str] = {}
    chosen: dict[str, Image] = {}
    for image in wanted:
        theirs = by_address.get(plain(known.get(image["url"], image["url"])))
        if theirs is not None:
            addresses[image["url"]] = theirs["url"]
        url = theirs["url"] if theirs else image["url"]
        alt = image.get("alt") or None
        chosen.setdefault(url, theirs if theirs and same_alt(theirs, image) else {"url": url, "alt": alt})
    rest = [dict(image) for image in there if image["url"] not in chosen]
    once = {plain(theirs) for ours, theirs in known.items() if ours not in addresses}
    left_over = [image for image in rest if plain(image["url"]) in once]
    kept = {ours: theirs for ours, theirs in known.items() if any(theirs == image["url"] for image in left_over)}
    return Beside([*chosen.values(), *rest], addresses | kept, left_over)


def are_same(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists are the same pictures with the same words, in the same order."""
    return [(plain(image["url"]), image.get("alt") or None) for image in one] == [
        (plain(image["url"]), image.get("alt") or None) for image in other
    ]


def same_alt(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return (one.get("alt") or None) == (other.get("alt") or None)


def plain(url: str) -> str:
    """An address without the `?v=` that platforms move whenever they work at a file."""
    path, _, query = url.partition("?")
    return path if query.startswith("v=") and "&" not in query else url


def paired(sent: Sequence[Mapping[str, Any]], answered: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Addresses that were sent with those which the platform has given: it answers in the order of what was sent."""
    return {one["url"]: other["url"] for one, other in zip(sent, answered, strict=False)}
