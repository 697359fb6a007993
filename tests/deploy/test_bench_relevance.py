"""The judged queries, and how their answers are counted."""

from math import log2

import pytest
from hypothesis import given, strategies

from deploy.bench.relevance import judged_queries, ndcg

pytestmark = pytest.mark.feature("SEA-2")
GRADES = strategies.dictionaries(
    strategies.text("abcdefgh", min_size=1, max_size=3), strategies.integers(1, 3), min_size=1
)


def test_there_are_enough_and_each_is_judged_once() -> None:
    judged = judged_queries()
    assert len(judged) >= 60
    assert len({each.query for each in judged}) == len(judged)
    assert all(set(each.grades.values()) <= {1, 2, 3} for each in judged)


def test_a_gain_fades_with_its_place() -> None:
    assert ndcg(["x", "a"], {"a": 3}) == pytest.approx(1 / log2(3))
    assert ndcg(["b", "a"], {"a": 3, "b": 1}) == pytest.approx((1 + 7 / log2(3)) / (7 + 1 / log2(3)))
    assert ndcg([], {"a": 3}) == 0
    assert ndcg([*"0123456789", "a"], {"a": 3}) == 0


@given(GRADES, strategies.randoms())
def test_no_order_is_better_than_that_of_the_grades(grades: dict[str, int], chance: object) -> None:
    best = sorted(grades, key=lambda slug: -grades[slug])
    assert ndcg(best, grades) == pytest.approx(1)
    shuffled = list(grades)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ndcg(shuffled, grades) <= 1 + 1e-9
