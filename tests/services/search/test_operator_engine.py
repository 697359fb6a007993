"""What operators find, by the engine alone: words, numbers, sets, times, and a folder that was left behind."""

import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.search.engines.base import IndexUnreadable
from services.search.engines.operators import FoundEntries, OperatorIndex, OperatorQuestion, open_operator_index
from services.search.models import OperatorEntry, StoredEntry
from services.search.use_cases.operators import meaning

pytestmark = pytest.mark.feature("ORD-7", "SYN-13")


def an_entry(number: int, kind: str = "order", **fields: Any) -> StoredEntry:
    return StoredEntry(kind, UUID(int=number), OperatorEntry(**{"at": number, **fields}))


def ask(index: OperatorIndex, words: str = "", **fields: Any) -> FoundEntries:
    return index.find(OperatorQuestion(**{"kind": "order", "words": words, "most": 100, **fields}))


def ints(found: FoundEntries) -> list[int]:
    return [id_.int for id_ in found.ids]


@pytest.fixture
def index(tmp_path: Path) -> OperatorIndex:
    index = open_operator_index(tmp_path / "index")
    entries = [
        an_entry(
            1,
            numbers=["MAIN-000001", "#1001", "1Z999AA10123456784"],
            codes=["ada@example.com", "MUG-RED"],
            words=["Ada Lovelace", "Analytical Engines Ltd", "São Paulo", "SW1A 1AA", "Mug, red"],
            shop="a",
        ),
        an_entry(2, numbers=["MAIN-000002"], codes=["grace@example.com", "CUP"], words=["Grace Hopper"], shop="a"),
        an_entry(3, numbers=["OUT-000001"], codes=["ada@example.org"], words=["山田太郎", "東京都港区"], shop="b"),
        an_entry(4, numbers=["1001"], words=["MAIN-000001 was sent back"], shop="b"),
        an_entry(5, kind="product", codes=["MUG-RED"], words=["Mug"]),
    ]
    index.apply(entries, 5)
    return index


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [4, 3, 2, 1]),
        ("lovelace", [1]),
        ("ADA", [3, 1]),
        ("ada engines", [1]),
        ("ada hopper", []),
        ("love", [1]),
        # Only the last word may be a beginning, and only while it is being typed.
        ("love ada", []),
        ("love ", []),
        ("sao paulo", [1]),
        ("sw1a 1aa", [1]),
        ("ada@example.com", [1]),
        ("ada@ex", [3, 1]),
        ("example.org", [3]),
        ("mug-red", [1]),
        ("mug-r", [1]),
        ("MUG", [1]),
        # A whole number alone, though its words are elsewhere, too.
        ("main-000001", [1]),
        (" MAIN-000001 ", [1]),
        ("1z999aa10123456784", [1]),
        ("main-00000", [4, 2, 1]),
        ("#1001", [1]),
        ("1001", [4]),
        ("000001", [4, 3, 1]),
        ("山田", [3]),
        ("東京 山田", [3]),
        ("田山", []),
        ("!!! ???", []),
        ('"lovelace', [1]),
        ("lovelace OR hopper", []),
        ("x" * 300, []),
    ],
)
def test_words_and_numbers(index: OperatorIndex, words: str, found: list[int]) -> None:
    assert ints(ask(index, words)) == found


def test_only_of_the_kind_the_shops_and_the_times(index: OperatorIndex) -> None:
    assert ints(ask(index, "mug", kind="product")) == [5]
    assert ints(ask(index, "ada", shops=["a"])) == [1]
    assert ints(ask(index, "ada", shops=[])) == []
    # A number that only others see is none.
    assert ints(ask(index, "main-000001", shops=["b"])) == [4]
    assert ints(ask(index, from_at=2, to_at=3)) == [3, 2]
    assert ints(ask(index, from_at=3, to_at=2)) == []
    assert ints(ask(index, from_at=-5, to_at=1)) == [1]
    assert ints(ask(index, to_at=-1)) == []
    assert ints(ask(index, oldest_first=True)) == [1, 2, 3, 4]


def test_sets_intersect_and_are_counted(tmp_path: Path) -> None:
    index = open_operator_index(tmp_path / "index")
    index.apply([an_entry(1, sets=["x", "y"]), an_entry(2, sets=["x"]), an_entry(3, sets=["z"])], 3)
    assert ints(ask(index, sets=[["x"]])) == [2, 1]
    assert ints(ask(index, sets=[["x"], ["y", "z"]])) == [1]
    assert ints(ask(index, sets=[["x", "z"]], without=["y"])) == [3, 2]
    assert ints(ask(index, sets=[["nothing"]])) == []
    everything = OperatorQuestion("order", "", 1)
    assert index.count(everything) == 3
    assert index.set_counts(everything, 10) == {"x": 2, "y": 1, "z": 1}


@pytest.mark.parametrize("oldest_first", [False, True])
def test_what_is_more_than_asked_for_is_told_whole_up_to_a_moment(tmp_path: Path, oldest_first: bool) -> None:
    index = open_operator_index(tmp_path / "index")
    # Three of each moment.
    index.apply([an_entry(number, at=number // 3) for number in range(30)], 30)
    seen: list[int] = []
    bounds: dict[str, Any] = {}
    for _ in range(30):
        found = ask(index, most=4, oldest_first=oldest_first, **bounds)
        seen += ints(found)
        if found.reaches_to is None:
            break
        assert found.total > len(found.ids)
        assert len(found.ids) % 3 == 0, "part of a moment"
        bounds = {"from_at": found.reaches_to + 1} if oldest_first else {"to_at": found.reaches_to - 1}
    assert sorted(seen) == list(range(30))
    moments = [number // 3 for number in seen]
    assert moments == sorted(moments, reverse=not oldest_first)
    assert ask(index, most=30).reaches_to is None
    # Where more are of one moment than were asked for, all of them are told.
    index.apply([an_entry(number, at=7) for number in range(30)], 31)
    assert sorted(ints(ask(index, most=4))) == list(range(30))


def test_what_was_left_is_found_again_and_what_is_gone_is_not(tmp_path: Path) -> None:
    index = open_operator_index(tmp_path / "index")
    index.apply([an_entry(1, words=["Ada"]), an_entry(2, words=["Ada"])], 2)
    index.apply([an_entry(1, words=["Erased"]), StoredEntry("order", UUID(int=2), None)], 4)
    index.apply([an_entry(1, words=["Erased"])], 4)
    index.close()
    again = open_operator_index(tmp_path / "index")
    assert again.sequence == 4
    assert (ints(ask(again, "ada")), ints(ask(again, "erased")), ask(again).total) == ([], [1], 1)


@pytest.mark.feature("SEA-5")
def test_a_folder_that_somebody_else_wrote_to_is_not_taken_for_ours(tmp_path: Path) -> None:
    index = open_operator_index(tmp_path / "index")
    index.apply([an_entry(1, words=["Ada"]), an_entry(2, words=["Ada"])], 2)
    index.rest()
    open_operator_index(tmp_path / "other").close()
    shutil.copy(tmp_path / "other" / "meta.json", tmp_path / "index" / "meta.json")
    with pytest.raises(IndexUnreadable):
        index.apply([an_entry(3)], 3)
    assert ints(ask(index, "ada")) == [2, 1]
    index.close()
    again = open_operator_index(tmp_path / "index")
    assert (again.sequence, ask(again).total) == (0, 0)


def test_an_index_whose_folder_was_taken_away_closes(tmp_path: Path) -> None:
    index = open_operator_index(tmp_path / "index")
    index.apply([an_entry(1)], 1)
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(IndexUnreadable):
        index.apply([an_entry(number) for number in range(2, 3000)], 2)
    index.close()


@pytest.mark.parametrize("spoilt", ["meta.json", "sequence"])
def test_a_spoilt_folder_is_begun_anew(tmp_path: Path, spoilt: str) -> None:
    index = open_operator_index(tmp_path / "index")
    index.apply([an_entry(1, words=["Ada"])], 1)
    index.close()
    (tmp_path / "index" / spoilt).write_bytes(b"\xff")
    again = open_operator_index(tmp_path / "index")
    # What is gone since is not told to who begins anew: nothing may be left of it.
    assert (again.sequence, ask(again).total) == (0, 0)
    again.apply([an_entry(1, words=["Ada"])], 1)
    assert ints(ask(again, "ada")) == [1]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("north", "brand:NORTHWIND"),
        ("BRAND:N", "brand:NORTHWIND"),
        ("größe (", "tag:Größe (x)"),
        ("GRÖSSE", "tag:Größe (x)"),
        ("gros", "tag:Grosse"),
        ("groß", "tag:Grosse"),
        ("a\\b", "tag:a\\b"),
        ("line\nb", "tag:line\nbreak"),
        (".*", None),
        ("[", None),
        ("x" * 100, None),
        ("日本" * 50, None),
        ("日本", "brand:日本茶"),
        ("İ", "colour:İstanbul"),
        ("in winter", "category:shopify:Winter > Scarves"),
        ("scarves on sh", "category:shopify:Winter > Scarves"),
        ("s", "brand:NORTHWIND"),
        ("", "brand:NORTHWIND"),
    ],
)
def test_sets_are_counted_among_those_that_may_be_meant(index: OperatorIndex, typed: str, found: str | None) -> None:
    """Whatever was typed; few that are known by what they are called are always among them."""
    few = {"on:shopify", "with:image", "stock:low"}
    others = {
        *("brand:NORTHWIND", "tag:Größe (x)", "tag:Grosse", "tag:a\\b", "tag:line\nbreak", "brand:日本茶"),
        *("colour:İstanbul", "category:shopify:Winter > Scarves"),
    }
    index.apply([an_entry(9, "product", sets=sorted(few | others))], 9)
    question = OperatorQuestion(kind="product", words="", most=1)
    counts = index.set_counts(question, 100, meaning.pattern(typed))
    assert few <= counts.keys()
    assert found in counts if found else counts.keys() == few
