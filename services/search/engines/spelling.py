"""Words as a shop's offers spell them: how a beginning goes on, and what a word nobody wrote may have been meant as."""

from collections.abc import Sequence
from dataclasses import dataclass

import tantivy
from tantivy import Occur, Query

from services.search.engines.matching import Matching, allowed_distance

# Words of the offers that a mistyped one is compared with, those of most offers first.
_COMPARED = 3000
# So many forms of each word are looked through for as many words as are wanted.
_FORMS = 3
# The field holds words in lower case with their marks, so that people are shown `mütze` and not `mutze`.
_FIELD = "spelled"


@dataclass(frozen=True)
class Spelling:
    """Looks into one state of an index."""

    searcher: tantivy.Searcher
    matching: Matching

    def completions(self, text: str, most: int) -> list[tuple[str, int]]:
        """`text` with its last word completed, and in how many offers that word stands beside the others.

        Most offers first. A word that is one already is among its own completions; one that is finished by a space has
        none. Of forms of one word, as singular and plural, the one that most offers have stands for all.
        """
        words = self.matching.analysis.spelled_words(text)
        if not words or text[-1:].isspace():
            return []
        *head, last = words
        within = self._all(head)
        written = self.searcher.terms_with_prefix(_FIELD, last, filter_query=within, limit=most * _FORMS)
        found: dict[str, tuple[str, int]] = {}
        for word, count in written:
            if count:
                found.setdefault(self._stem(word), (" ".join([*head, word]), count))
        return list(found.values())[:most]

    def _stem(self, word: str) -> str:
        folded = next(iter(self.matching.analysis.words(word)), word)
        return self.matching.analysis.stem(folded)

    def correction(self, text: str) -> str | None:
        """`text` with each word that no offer has replaced by the nearest one that some have; None: nothing better."""
        words = self.matching.analysis.spelled_words(text)
        right = [word for word in words if self._is_written(word)]
        corrected = [word if word in right else self._nearest(word, right) or word for word in words]
        return " ".join(corrected) if corrected != words else None

    def _nearest(self, word: str, others: Sequence[str]) -> str | None:
        """Of words that stand beside the others, or else of all: by fewest mistakes, then by most offers."""
        distance = allowed_distance(word)
        if distance == 0:
            return None
        near = Query.fuzzy_term_query(self.matching.schema, _FIELD, word, distance=distance)
        beside = Query.boolean_query([(Occur.Must, near), (Occur.Must, self._all(others))])
        return self._best(word, distance, beside) or (self._best(word, distance, near) if others else None)

    def _best(self, word: str, distance: int, within: Query) -> str | None:
        written = self.searcher.terms_with_prefix(_FIELD, "", filter_query=within, limit=_COMPARED)
        ranked = [
            (mistakes, -count, other)
            for other, count in written
            if count and (mistakes := mistakes_between(word, other, distance)) is not None
        ]
        return min(ranked)[2] if ranked else None

    def _is_written(self, word: str) -> bool:
        folded = next(iter(self.matching.analysis.words(word)), word)
        return any(
            self.searcher.doc_freq(field, written) > 0
            for field, written in (
                ("names", folded),
                ("text", self._stem(word)),
                ("codes", folded),
            )
        )

    def _all(self, words: Sequence[str]) -> Query:
        needed = [self.matching.term("kind", "offer"), *(self.matching.term(_FIELD, word) for word in words)]
        return Query.boolean_query([(Occur.Must, query) for query in needed])


def mistakes_between(one: str, other: str, most: int) -> int | None:
    """Letters to add, drop, change or swap with their neighbour until `one` is `other`; None when more than `most`.

    The optimal string alignment distance, as tantivy's fuzzy queries count it.
    """
    if abs(len(one) - len(other)) > most:
        return None
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, opposite in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != opposite))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == opposite:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return None
    return row[-1] if row[-1] <= most else None
