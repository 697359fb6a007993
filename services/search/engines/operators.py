"""What operators find in: a tantivy index per organization, of orders and products, in a folder of its own.

Words are found as they are written, whatever the language: merchants write in several. Writing without spaces is
found by pairs of letters. A folder has one user at a time; whoever takes rows over does so in one thread.
"""

import contextlib
import re
import shutil
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import tantivy
from tantivy import FieldType, Occur, Order, Query

from services.search.engines.analysis import analysis_of, prepared
from services.search.engines.base import IndexUnreadable
from services.search.engines.tantivy import left_in, read_sequence, require_left, write_at_rest, write_sequence
from services.search.models import OperatorEntry, StoredEntry
from shared.memory import give_back_memory

# Fields or analysis changed: folders of another version are filled anew.
VERSION = 2
_WRITER_BYTES = 30_000_000
# More words than these only make a query slow: they are left out.
_MOST_WORDS = 16
_SHORTEST_BEGINNING = 2
_SHORTEST_CODE = 3
_LAST_MOMENT = (1 << 63) - 1
# What is written without spaces between words: Thai to Khmer, kana, Han, Hangul.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_PAIRS = analysis_of("ja")


@dataclass(frozen=True, slots=True)
class OperatorQuestion:
    """What is looked for, latest first: of one kind, all the words, in one of each of `sets`, within these moments.

    Moments are milliseconds of Unix time, both inclusive. `shops` are all where there are none.
    """

    kind: str
    words: str
    most: int
    sets: Sequence[Sequence[str]] = ()
    without: Sequence[str] = ()
    shops: Sequence[str] | None = None
    from_at: int | None = None
    to_at: int | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True)
class FoundEntries:
    """Ids in order, how many there are in all; and with more than asked for, the moment up to which these are all."""

    ids: list[UUID]
    total: int
    reaches_to: int | None


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in ("key", "kind", "shop"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("sets", tokenizer_name="codes", index_option="basic")
    builder.add_text_field("labels", tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_text_field("numbers", tokenizer_name="codes", index_option="basic")
    builder.add_text_field("codes", tokenizer_name="codes", index_option="basic")
    builder.add_text_field("words", tokenizer_name="plain", index_option="basic")
    builder.add_text_field("pairs", tokenizer_name="pairs", index_option="basic")
    builder.add_unsigned_field("at", indexed=True, fast=True)
    builder.add_bytes_field("id", stored=True)
    return builder.build()


class OperatorIndex:
    """Orders and products of one organization in one folder."""

    def __init__(self, folder: Path) -> None:
        """Open or make the index. Blocks. Raises IndexUnreadable when something else lies there."""
        self._folder = folder
        # Whoever gave up waiting for a thread that takes rows over may close the index while it still does.
        self._writing = threading.Lock()
        self._schema = _schema()
        # No language: no stems.
        self._spaced, self._unspaced = analysis_of(""), _PAIRS
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._index = tantivy.Index(self._schema, path=str(folder))
            self._index.register_tokenizer("plain", self._spaced.plain)
            self._index.register_tokenizer("codes", self._spaced.codes)
            self._index.register_tokenizer("pairs", self._unspaced.plain)
            self._writer: tantivy.IndexWriter | None = None
            searcher = self._index.searcher()
            self._state = (searcher, read_sequence(folder, searcher))
            self._left = left_in(folder)
        except (ValueError, OSError) as error:
            raise IndexUnreadable(str(error)) from error

    @property
    def sequence(self) -> int:
        """The sequence of the last row taken over."""
        return self._state[1]

    def apply(self, entries: Sequence[StoredEntry], sequence: int, *, is_more: bool = False) -> None:
        """Take over rows up to `sequence`, whether or not more follow at once; repeating is harmless. Blocks.

        Raises IndexUnreadable; what was found before is found still.
        """
        try:
            with self._writing:
                self._apply(entries, sequence)
        except (ValueError, OSError) as error:
            # tantivy raises ValueError for whatever went wrong with a file.
            raise IndexUnreadable(str(error)) from error

    def _apply(self, entries: Sequence[StoredEntry], sequence: int) -> None:
        if self._writer is None:
            require_left(self._folder, self._left)
            self._writer = self._index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        for stored in entries:
            self._writer.delete_documents_by_term("key", f"{stored.kind}{stored.id.hex}")
            if stored.entry is not None:
                self._writer.add_document(_document(stored, stored.entry))
        self._writer.commit()
        write_sequence(self._folder, sequence)
        self._index.reload()
        self._state = (self._index.searcher(), sequence)

    def rest(self) -> None:
        """Give back what is only needed for taking over rows."""
        with self._writing:
            writer, self._writer = self._writer, None
            if writer is not None:
                # A writer whose files were taken away has failed before, and has nothing left to wait for.
                with contextlib.suppress(ValueError, OSError):
                    writer.wait_merging_threads()
                    self._left = write_at_rest(self._folder, self.sequence)
                del writer
                give_back_memory()

    def close(self) -> None:
        self.rest()

    # --- finding

    def find(self, question: OperatorQuestion) -> FoundEntries:
        """Takes milliseconds for a thousand ids: away from the event loop where many are asked for."""
        searcher = self._state[0]
        query = self._query(searcher, question)
        order = Order.Asc if question.oldest_first else Order.Desc
        result: Any = searcher.search(query, question.most, order_by_field="at", order=order)
        hits, reaches_to = list(result.hits), None
        if result.count > len(hits):
            hits, reaches_to = self._with_equals(searcher, query, hits, result.count)
        return FoundEntries([_id_of(searcher, address) for _, address in hits], result.count, reaches_to)

    def _with_equals(
        self, searcher: tantivy.Searcher, query: Query, hits: list[Any], count: int
    ) -> tuple[list[Any], int | None]:
        """`hits`, and all that are of the same moment as the last of them; and that moment, unless these are all."""
        moment = hits[-1][0]
        equal = Query.range_query(self._schema, "at", FieldType.Unsigned, moment, moment)
        others: Any = searcher.search(_all([query, equal]), count, count=False, order_by_field="at")
        whole = [hit for hit in hits if hit[0] != moment] + list(others.hits)
        return whole, moment if len(whole) < count else None

    def count(self, question: OperatorQuestion) -> int:
        searcher = self._state[0]
        result: Any = searcher.search(self._query(searcher, question), 1)
        return int(result.count)

    def set_counts(self, question: OperatorQuestion, most: int, among: str | None = None) -> dict[str, int]:
        """How many of what is meant are in which set: of the largest so many, those that match a regular expression."""
        searcher = self._state[0]
        terms = {"field": "labels", "size": most} | ({} if among is None else {"include": among})
        counted: Any = searcher.aggregate(self._query(searcher, question), {"sets": {"terms": terms}})
        return {bucket["key"]: bucket["doc_count"] for bucket in counted["sets"]["buckets"]}

    # --- queries

    def _query(self, searcher: tantivy.Searcher, question: OperatorQuestion) -> Query:
        parts = [self._term("kind", question.kind)]
        parts += [self._one_of("sets", map(self._set, names)) for names in question.sets]
        if question.shops is not None:
            parts.append(self._one_of("shop", question.shops))
        if question.from_at is not None or question.to_at is not None:
            first, last = max(question.from_at or 0, 0), question.to_at
            last = _LAST_MOMENT if last is None else max(last, 0)
            if first > last:
                return Query.empty_query()
            parts.append(Query.range_query(self._schema, "at", FieldType.Unsigned, first, last))
        if question.words.strip():
            parts.append(self._matching(searcher, question))
        without = [(Occur.MustNot, self._term("sets", self._set(name))) for name in question.without]
        return Query.boolean_query([*((Occur.Must, part) for part in parts), *without])

    def _matching(self, searcher: tantivy.Searcher, question: OperatorQuestion) -> Query:
        """The words, or, where they are a number that something has, that alone."""
        number = self._number(question.words)
        mine = [self._term("kind", question.kind), number]
        if question.shops is not None:
            mine.append(self._one_of("shop", question.shops))
        known: Any = searcher.search(_all(mine), 1)
        return number if known.count else self._words(question.words)

    def _number(self, text: str) -> Query:
        return self._term("numbers", next(iter(self._spaced.codes.analyze(prepared(text).strip())), ""))

    def _words(self, text: str) -> Query:
        whole = next(iter(self._spaced.codes.analyze(prepared(text).strip())), "")
        words = self._spaced.words(text)[:_MOST_WORDS]
        ways = [self._term("codes", whole)]
        # One word that is a code's beginning is looked for as that below.
        if len(whole) >= _SHORTEST_CODE and words != [whole]:
            ways.append(self._beginning("codes", whole))
        if words:
            last = words[-1] if text[-1:].isalnum() else None
            ways.append(_all([self._word(word, is_last=word == last) for word in words]))
        return _any(ways)

    def _word(self, word: str, *, is_last: bool) -> Query:
        if _UNSPACED.search(word):
            return _all([self._term("pairs", pair) for pair in self._unspaced.words(word)])
        ways = [self._term("words", word), self._term("codes", word)]
        if is_last and len(word) >= _SHORTEST_BEGINNING:
            ways.append(self._beginning("words", word))
            # Codes are as many as what has them: two letters begin most of them, and words tell the same of those.
            if len(word) >= _SHORTEST_CODE:
                ways.append(self._beginning("codes", word))
        return _any(ways)

    def _set(self, name: str) -> str:
        """What a set is known by, whatever the case of its letters."""
        return next(iter(self._spaced.codes.analyze(prepared(name))), "")

    def _beginning(self, field: str, word: str) -> Query:
        return Query.fuzzy_term_query(self._schema, field, word, distance=0, prefix=True)

    def _term(self, field: str, value: str) -> Query:
        return Query.term_query(self._schema, field, value)

    def _one_of(self, field: str, values: Iterable[str]) -> Query:
        return Query.term_set_query(self._schema, field, list(values))


def _document(stored: StoredEntry, entry: OperatorEntry) -> tantivy.Document:
    document = tantivy.Document()
    document.add_text("key", f"{stored.kind}{stored.id.hex}")
    document.add_text("kind", stored.kind)
    if entry.shop is not None:
        document.add_text("shop", entry.shop)
    for number in entry.numbers:
        document.add_text("numbers", prepared(number))
    for code in (*entry.numbers, *entry.codes):
        document.add_text("codes", prepared(code))
    for text in (*entry.numbers, *entry.codes, *entry.words):
        document.add_text("words", prepared(text))
    for text in entry.words:
        if _UNSPACED.search(text):
            document.add_text("pairs", _PAIRS.indexed(text))
    for name in entry.sets:
        document.add_text("sets", prepared(name))
        document.add_text("labels", name)
    document.add_unsigned("at", max(entry.at, 0))
    document.add_bytes("id", stored.id.bytes)
    return document


def _id_of(searcher: tantivy.Searcher, address: Any) -> UUID:
    return UUID(bytes=bytes(searcher.doc(address)["id"][0]))


def _all(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Must, query) for query in queries])


def _any(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])


def open_operator_index(folder: Path, *, afresh: bool = False) -> OperatorIndex:
    """The index in `folder`, emptied when it cannot be read, or `afresh`. Blocks."""
    if afresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return OperatorIndex(folder)
    except IndexUnreadable:
        shutil.rmtree(folder, ignore_errors=True)
        return OperatorIndex(folder)
