"""A million products, listed on platforms: sets that intersect are counted, listed and suggested by the engine."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest

from services.search.engines.operators import OperatorIndex, OperatorQuestion, open_operator_index
from services.search.models import OperatorEntry, StoredEntry
from services.search.use_cases.operators.meaning import pattern
from tests.conftest import scale

pytestmark = [pytest.mark.feature("SYN-13"), pytest.mark.timeout(1800)]

T = TypeVar("T")
PRODUCTS = 1_000_000 if scale() == 1.0 else 20_000
_PORTION = 5000
# As processes keep them: who is listed where, what waits, what is missing, and whose it is.
PLATFORMS = ("shopify", "custom", "files")


def sets_of(number: int) -> Iterator[str]:
    yield f"brand:Brand {number % 500}"
    yield f"status:{'active' if number % 4 else 'paused'}"
    yield f"stock:{'out' if number % 10 == 0 else 'in'}"
    if number % 3:
        yield "with:image"
    if number % 50 == 0:
        yield "with:issues"
    for place, platform in enumerate(PLATFORMS):
        if number % (place + 2) == 0:
            for name in (platform, f"0192f0c1-7d3a-7e3c-9b1a-{place:012}"):
                yield f"on:{name}"
                yield f"{'published' if number % 7 else 'unpublished'}:{name}"
                yield f"category:{name}:Branch {number % 200} > Leaf {number % 1000}"


def an_entry(number: int) -> StoredEntry:
    found_by = {"codes": [f"SKU-{number}"], "words": [f"Scarf {number}"], "sets": list(sets_of(number))}
    return StoredEntry("product", UUID(int=number << 80), OperatorEntry(at=number, **found_by))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorIndex]:
    folder: Path = tmp_path_factory.mktemp("many")
    index = open_operator_index(folder / "index")
    for start in range(0, PRODUCTS, _PORTION):
        numbers = range(start, min(start + _PORTION, PRODUCTS))
        entries = [
            StoredEntry(
                "product",
                UUID(int=number << 80),
                OperatorEntry(
                    at=number, codes=[f"SKU-{number}"], words=[f"Scarf {number}"], sets=list(sets_of(number))
                ),
            )
            for number in numbers
        ]
        index.apply(entries, numbers[-1] + 1)
    yield index
    index.close()


def timed(what: str, act: Callable[[], T]) -> T:
    begun = time.perf_counter()
    result = act()
    print(f"{what} among {PRODUCTS:,} products: {(time.perf_counter() - begun) * 1000:.1f} ms")  # noqa: T201
    return result


def test_sets_that_intersect_are_counted_listed_and_suggested(index: OperatorIndex) -> None:
    """Numbers are printed (`-s`), and none is asserted: they say more of the machine than of this."""
    question = OperatorQuestion(
        kind="product",
        words="",
        most=1000,
        sets=[["on:shopify"], ["unpublished:shopify"], ["brand:Brand 42"]],
        without=["with:issues"],
    )
    meant = [n for n in range(PRODUCTS) if n % 2 == 0 and n % 7 == 0 and n % 500 == 42 and n % 50]
    assert timed("counted an intersection of three sets", lambda: index.count(question)) == len(meant)
    found = timed("listed a thousand of it", lambda: index.find(question))
    assert (found.total, [each.int >> 80 for each in found.ids]) == (len(meant), sorted(meant, reverse=True)[:1000])
    large = OperatorQuestion(
        kind="product", words="", most=1000, sets=[["on:shopify"], ["status:active"], ["stock:in"]]
    )
    meant = [n for n in range(PRODUCTS) if n % 2 == 0 and n % 4 and n % 10]
    assert timed("counted an intersection of three large sets", lambda: index.count(large)) == len(meant)
    page = timed("listed a thousand of it", lambda: index.find(large))
    assert [each.int >> 80 for each in page.ids] == sorted(meant, reverse=True)[:1000]
    typed = timed(
        "counted the sets in it that may be meant", lambda: index.set_counts(large, 10_000, pattern("leaf 4"))
    )
    assert typed["category:shopify:Branch 2 > Leaf 402"] == len([n for n in meant if n % 1000 == 402])
    assert not any(name.startswith("brand:") for name in typed)
    counts = timed("counted every set within it", lambda: index.set_counts(large, 10_000))
    assert counts["on:shopify"] == len(meant)
    assert counts["with:image"] == sum(1 for number in meant if number % 3)
