"""How good the first ten offers are: queries over the sample catalog, judged by hand, and nDCG@10.

`judged.tsv` has a query per line with the offers that answer it: 3 is what was looked for, 2 is welcome, 1 is related.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import mean

from deploy.bench.figures import Figure
from deploy.bench.system import System

_JUDGED = Path(__file__).parent / "judged.tsv"
_DEPTH = 10


@dataclass(frozen=True)
class Judged:
    """A query and, by slug, how well an offer answers it."""

    query: str
    grades: Mapping[str, int]


def judged_queries() -> list[Judged]:
    return [_judged(line) for line in _JUDGED.read_text().splitlines()]


def _judged(line: str) -> Judged:
    query, answers = line.split("\t")
    pairs = (answer.rsplit("=", 1) for answer in answers.split())
    return Judged(query, {slug: int(grade) for slug, grade in pairs})


def ndcg(found: Sequence[str], grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen, 2002): 1 is the best order.

    An offer gains 2^grade - 1, divided by the binary logarithm of its place and one.
    """
    best = _gain(sorted(grades.values(), reverse=True))
    return _gain([grades.get(slug, 0) for slug in found]) / best


def _gain(grades: Sequence[int]) -> float:
    return sum((2**grade - 1) / log2(place + 1) for place, grade in enumerate(grades[:_DEPTH], 1))


def relevance(system: System) -> Figure:
    """Over HTTP, as a storefront asks."""
    scores = score_all(system)
    worst = sorted(scores, key=lambda query: scores[query])[:5]
    told = ", ".join(f"{query} {scores[query]:.2f}" for query in worst)
    note = f"nDCG@10 {mean(scores.values()):.3f} over {len(scores)} judged queries; the worst: {told}"
    return Figure("relevance", None, "", note=note)


def score_all(system: System) -> dict[str, float]:
    """By query, how good the first ten offers of the demo's shop are."""
    return {judged.query: ndcg(_found(system, judged.query), judged.grades) for judged in judged_queries()}


def _found(system: System, query: str) -> list[str]:
    parameters = {"q": query, "first": _DEPTH}
    answer = system.ask("GET", "/v1/shops/main/offers", party="storefront", params=parameters)
    return [offer["slug"] for offer in answer["items"]]
