"""The embedded engine: a tantivy index per shop in a folder of its own.

A folder has one user at a time. Whoever takes rows over does so in one thread; everybody else reads the last state that
was committed, which is replaced as a whole.
"""

import contextlib
import hashlib
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import tantivy
from tantivy import FieldType, Order, Query

from services.search.engines import counting
from services.search.engines.analysis import analysis_of, language_of
from services.search.engines.base import FacetCounts, Found, IndexUnreadable, NamedBy, Place, Question, Tuning
from services.search.engines.counting import (
    ByHand,
    InIndex,
    of_variants,
    tests_by_key,
)
from services.search.engines.matching import (
    Conditions,
    Matching,
    Phrases,
    narrowed,
    with_others,
    without,
)
from services.search.engines.offer_documents import Facets, decode_facets, documents_of
from services.search.engines.spelling import Spelling
from services.search.models import StoredOffer
from shared.contracts.search.shapes import OfferSort
from shared.memory import give_back_memory

# Fields or analysis changed: folders of another version are filled anew.
VERSION = 11
# Fewer exact matches than these are few: nearly matching offers are shown with them.
FEW = 3

_WRITER_BYTES = 30_000_000
# A commit costs 15 to 90 ms whatever it carries, and what was not committed is lost with the process.
_MOST_UNCOMMITTED = 20_000
_ORDERS = {"relevance": "by_rank", "price_asc": "by_price", "price_desc": "by_price_falling", "newest": "by_newest"}
# So many offers share a barcode, or a SKU that is another's barcode, at most.
_SHARING = 5
_KEPT_SUMMARIES = 500
_KEPT_FACETS = 10_000
_KEPT_STATES = 8
_STATE_SECONDS = 60.0

# What is looked up as it is. `audience` is who sees an offer or page, and `replaced_for` which groups see another.
_TERMS = (
    *("key", "kind", "slug", "offer_slug", "brand_key", "categories", "option_keys", "choice_keys"),
    *("attribute_keys",),
    *("audience", "replaced_for"),
)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    for name in _TERMS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("brand", "category", "options", "attributes"):
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_text_field("title", tokenizer_name="stemmed", index_option="freq")
    builder.add_text_field("text", tokenizer_name="stemmed", index_option="freq")
    builder.add_text_field("names", tokenizer_name="plain", index_option="freq")
    builder.add_text_field("spelled", tokenizer_name="spelled", index_option="basic")
    builder.add_text_field("codes", tokenizer_name="codes", index_option="basic")
    builder.add_unsigned_field("price", indexed=True, fast=True)
    for name in _ORDERS.values():
        builder.add_unsigned_field(name, fast=True)
    builder.add_float_field("boost", fast=True)
    builder.add_bytes_field("facets", stored=True)
    builder.add_bytes_field("document", stored=True)
    builder.add_bytes_field("page", stored=True)
    return builder.build()


# What orders an offer, and where it lies.
Hits = Sequence[tuple[Any, tantivy.DocAddress]]


@dataclass(frozen=True)
class _Meant:
    """What words mean in one state of the index: how they match, and the first of their ranking."""

    stage: str
    query: Query
    found: Any = None

    @property
    def is_little(self) -> bool:
        return self.found is not None and self.found.count <= counting.COUNTED_BY_HAND


@dataclass(frozen=True)
class _Summary:
    """What is the same for every page of a result. `pinned` come first; what `making` makes finds the `rest`, in order.

    A ranking has the `sold_out` ones among the rest behind the others, whatever their scores. `best` are the first of
    a ranking, where they were looked for.
    """

    making: Callable[[], Query]
    rest: int
    sold_out: int
    facets: FacetCounts
    pinned: list[tantivy.DocAddress]
    best: "Hits"

    @property
    def query(self) -> Query:
        return self.making()

    @property
    def total(self) -> int:
        return self.rest + len(self.pinned)


@dataclass(frozen=True)
class _State:
    """The index as of one commit, and what was found out about it."""

    searcher: tantivy.Searcher
    sequence: int
    has_sold_out: bool
    has_groups: bool
    meant: dict[tuple[Any, ...], _Meant] = field(default_factory=dict)
    summaries: dict[tuple[Any, ...], _Summary] = field(default_factory=dict)
    corrections: dict[str, str | None] = field(default_factory=dict)
    # What offers are counted under, by where they lie.
    counted: dict[tuple[int, int], Facets] = field(default_factory=dict)

    def counted_at(self, address: tantivy.DocAddress) -> Facets:
        place = address.segment_ord, address.doc
        known = self.counted.get(place)
        if known is None:
            known = decode_facets(_stored(self.searcher, address, "facets"))
            if len(self.counted) < _KEPT_FACETS:
                self.counted[place] = known
        return known

    def look(self, query: Query) -> tuple[int, list[Facets] | None]:
        """How many a query finds, and what each is counted under, where that is little."""
        return self.looked(_first_of(self.searcher, query))

    def looked(self, found: Any) -> tuple[int, list[Facets] | None]:
        is_little = found.count <= counting.COUNTED_BY_HAND
        return found.count, [self.counted_at(address) for _, address in found.hits] if is_little else None


class TantivyIndex:
    """An `OfferIndex` in one folder."""

    def __init__(self, folder: Path, locale: str) -> None:
        """Open or make the index. Blocks. Raises IndexUnreadable when something else lies there."""
        self._folder = folder
        # Whoever gave up waiting for a thread that takes rows over may close the index while it still does.
        self._writing = threading.Lock()
        self._schema = _schema()
        analysis = analysis_of(language_of(locale))
        self._matching = Matching(self._schema, analysis)
        self._sold_out = self._matching.term("kind", "sold_out")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._index = tantivy.Index(self._schema, path=str(folder))
            self._index.register_tokenizer("plain", analysis.plain)
            self._index.register_tokenizer("stemmed", analysis.stemmed)
            self._index.register_tokenizer("codes", analysis.codes)
            self._index.register_tokenizer("spelled", analysis.spelled)
            self._writer: tantivy.IndexWriter | None = None
            self._state = self._present(read_sequence(folder, self._index.searcher()))
            # Of an index that was empty and is being filled, the numbers of the offers that it has by now.
            self._filled: set[int] | None = None if self._state.searcher.num_docs else set()
            self._left = left_in(folder)
        except (ValueError, OSError) as error:
            raise IndexUnreadable(str(error)) from error
        self._earlier: OrderedDict[int, tuple[float, _State]] = OrderedDict()
        self._uncommitted = 0
        # Of one tuning, by its version.
        self._phrases_known: tuple[int, Phrases] = (0, {})

    @property
    def sequence(self) -> int:
        return self._state.sequence

    def apply(self, offers: Sequence[StoredOffer], sequence: int, *, is_more: bool = False) -> None:
        try:
            with self._writing:
                self._take_over(offers)
                if not is_more or self._uncommitted >= _MOST_UNCOMMITTED:
                    self._commit(sequence)
                if not is_more:
                    self._filled = None
        except (ValueError, OSError) as error:
            # tantivy raises ValueError for whatever went wrong with a file.
            raise IndexUnreadable(str(error)) from error

    def _take_over(self, offers: Sequence[StoredOffer]) -> None:
        if self._writer is None:
            require_left(self._folder, self._left)
            self._writer = self._index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        self._uncommitted += len(offers)
        for offer in offers:
            if self._filled is None or offer.number in self._filled:
                self._writer.delete_documents_by_term("key", offer.product_id)
            else:
                # There is nothing to take away, and to look for it in every segment is a sixth of what an offer costs.
                self._filled.add(offer.number)
            for document in documents_of(offer, self._matching.analysis):
                self._writer.add_document(document)

    def _commit(self, sequence: int) -> None:
        assert self._writer is not None
        self._uncommitted = 0
        self._writer.commit()
        write_sequence(self._folder, sequence)
        self._index.reload()
        self._state = self._present(sequence)

    def _present(self, sequence: int) -> _State:
        searcher = self._index.searcher()
        has_groups = _count(searcher, self._matching.term("kind", "varied")) > 0
        return _State(searcher, sequence, has_sold_out=_count(searcher, self._sold_out) > 0, has_groups=has_groups)

    def rest(self) -> None:
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

    # --- reading

    def has_group(self, group: str) -> bool:
        return self._state.has_groups and _count(self._state.searcher, self._matching.term("replaced_for", group)) > 0

    def unknown_among(self, names: Sequence[tuple[NamedBy, str]]) -> list[int]:
        searcher = self._state.searcher
        return [place for place, named in enumerate(names) if _count(searcher, self._matching.named(*named)) == 0]

    def page(self, name: str, group: str | None = None) -> bytes | None:
        state, matching = self._state, self._matching
        query = self._seen_by(state, group, matching.term("slug", name))
        hits = state.searcher.search(query, 1, count=False).hits
        if not hits and (product_id := _id_in(name)):
            whole = without(matching.term("key", product_id), matching.term("kind", "offer"))
            hits = state.searcher.search(self._seen_by(state, group, whole), 1, count=False).hits
        return _stored(state.searcher, hits[0][1], "page") if hits else None

    def with_codes(self, codes: Sequence[str], group: str | None = None) -> list[bytes]:
        state, words = self._state, {code.lower() for code in codes}
        query = self._seen_by(state, group, self._matching.one_of("codes", sorted(words)))
        return _documents(state.searcher, state.searcher.search(query, len(words) * _SHARING, count=False).hits)

    def _seen_by(self, state: _State, group: str | None, query: Query) -> Query:
        """What `query` finds among what a customer group, or (None) everybody, sees."""
        return narrowed(query, [self._matching.audience(group)]) if state.has_groups else query

    def search(self, question: Question) -> Found:
        state = self._state_of(question.place)
        meant = self._meant(state, question)
        summary = self._summary(state, question, meant)
        documents, place = self._page(state, question, summary, question.place or Place(0, meant.stage, state.sequence))
        return Found(documents, place, summary.total, summary.facets, meant.stage)

    def _page(
        self, state: _State, question: Question, summary: _Summary, place: Place
    ) -> tuple[list[bytes], Place | None]:
        """Documents from `place` on, those that are pinned before the rest; and the place of the next page."""
        pinned = summary.pinned[place.pinned : place.pinned + question.first]
        first, behind = [_stored(state.searcher, address, "document") for address in pinned], place.behind
        shown = place.pinned + len(pinned)
        left = question.first - len(pinned)
        following: int | None = behind if shown < len(summary.pinned) or summary.rest else None
        if left:
            look = self._ranked if _is_ranked(question) else self._ordered
            rest, following = look(state, question.sort, summary, behind, left)
            first += rest
        return first, None if following is None else Place(following, place.stage, state.sequence, shown)

    def _phrases(self, tuning: Tuning) -> Phrases:
        version, phrases = self._phrases_known
        if version != tuning.version:
            phrases = self._matching.phrases_of(tuning.others)
            self._phrases_known = (tuning.version, phrases)
        return phrases

    def completions(self, words: str, most: int) -> list[tuple[str, int]]:
        return Spelling(self._state.searcher, self._matching).completions(words, most)

    def correction(self, words: str) -> str | None:
        state = self._state
        if words in state.corrections:
            return state.corrections[words]
        found = Spelling(state.searcher, self._matching).correction(words)
        if len(state.corrections) < _KEPT_SUMMARIES:
            state.corrections[words] = found
        return found

    def _state_of(self, place: Place | None) -> _State:
        """The state a ranking was begun in, for a minute: within it, every offer has its place."""
        state, now = self._state, time.monotonic()
        while self._earlier and next(iter(self._earlier.values()))[0] < now:
            self._earlier.popitem(last=False)
        if place is None or place.sequence == state.sequence:
            return state
        return self._earlier[place.sequence][1] if place.sequence in self._earlier else state

    def _keep(self, state: _State) -> None:
        self._earlier[state.sequence] = (time.monotonic() + _STATE_SECONDS, state)
        self._earlier.move_to_end(state.sequence)
        while len(self._earlier) > _KEPT_STATES:
            self._earlier.popitem(last=False)

    def _meant(self, state: _State, question: Question) -> _Meant:
        """The strictest stage that finds enough, or the one a page before was of; and how the words match in it.

        The filter has no say, or narrowing it would widen the words.
        """
        named = question.place.stage if question.place else None
        key = (question.words, question.tuning.version, question.group, named)
        known = state.meant.get(key)
        if known is None:
            known = self._understood(state, question, named)
            if len(state.meant) < _KEPT_SUMMARIES:
                state.meant[key] = known
        return known

    def _understood(self, state: _State, question: Question, named: str | None) -> _Meant:
        tuning = question.tuning
        stages = {
            name: self._seen_by(state, question.group, query)
            for name, query in self._matching.stages(question.words, self._phrases(tuning)).items()
        }
        if named is not None and named not in stages:
            return _Meant(named, Query.empty_query())
        if "all" in stages:
            return _Meant("all", stages["all"])
        stage, found = _first_that_finds(state.searcher, {named: stages[named]} if named else stages)
        query = stages[stage]
        if tuning.boosted_brands or tuning.boosted_categories:
            query = self._matching.boosted(query, tuning.boosted_brands, tuning.boosted_categories)
            found = _first_of(state.searcher, query, is_ranked=True)
        return _Meant(stage, query, found)

    def _summary(self, state: _State, question: Question, meant: _Meant) -> _Summary:
        pins = question.pins if question.sort == "relevance" else ()
        about = question.filter.model_dump_json(), question.tuning.version, question.group
        key = (question.words, meant.stage, *about, pins, question.facets)
        known = state.summaries.get(key)
        if known is None:
            known = self._summed_up(state, meant, question, pins)
            if len(state.summaries) < _KEPT_SUMMARIES:
                state.summaries[key] = known
        return known

    def _summed_up(self, state: _State, meant: _Meant, question: Question, pins: Sequence[str]) -> _Summary:
        if not pins and not state.has_sold_out:
            tests = tests_by_key(question.filter) if meant.is_little else None
            if tests is not None:
                return self._looked_through(state, meant, question, tests)
        searcher, query = state.searcher, meant.query
        conditions = self._matching.conditions(question.filter)
        within = narrowed(query, conditions.but())
        if not pins and not state.has_sold_out:
            found = meant.found if within is query else None
            found = found or _first_of(searcher, within, is_ranked=_is_ranked(question))
            best = found.hits if _is_ranked(question) else []
            facets = self._facets(state, query, within, conditions, question, found)
            return _Summary(lambda: within, found.count, 0, facets, [], best)
        if not pins:
            count, sold_out = self._counted(state, within)
            facets = self._facets(state, query, within, conditions, question)
            return _Summary(lambda: within, count, sold_out, facets, [], [])
        # What is sold out comes last, pinned or not.
        named = self._seen_by(state, question.group, self._matching.one_of("offer_slug", pins))
        pinned = without(named, self._sold_out)
        query = with_others(query, pinned)
        together = narrowed(query, conditions.but())
        facets = self._facets(state, query, together, conditions, question)
        rest = without(within, pinned)
        addresses = [self._pinned(searcher, slug, [pinned, *conditions.but()]) for slug in pins]
        count, sold_out = self._counted(state, rest)
        found_pins = [each for each in addresses if each is not None]
        return _Summary(lambda: rest, count, sold_out, facets, found_pins, [])

    def _looked_through(
        self, state: _State, meant: _Meant, question: Question, tests: Mapping[str, Callable[[Facets], bool]]
    ) -> _Summary:
        """Of little that words find, what fits the filter: offer by offer, and without asking the engine again."""
        best, within = [], []
        beside: dict[str, list[Facets]] = {key: [] for key in tests}
        for hit in meant.found.hits:
            offer = state.counted_at(hit[1])
            missed = [key for key, fits in tests.items() if not fits(offer)]
            if not missed:
                best.append(hit)
                within.append(offer)
            elif len(missed) == 1:
                beside[missed[0]].append(offer)
        told = counting.told(counting.facets(ByHand(within, beside), tests)) if question.facets else FacetCounts()

        def query() -> Query:
            return narrowed(meant.query, self._matching.conditions(question.filter).but())

        return _Summary(query, len(best), 0, told, [], best)

    def _facets(
        self, state: _State, query: Query, within: Query, conditions: Conditions, question: Question, found: Any = None
    ) -> FacetCounts:
        """Counts of `within`, which is `query` within conditions; `found` is what `_first_of` says of it."""
        if not question.facets:
            return FacetCounts()
        few = state.look(within) if found is None else state.looked(found)
        counts = counting.facets(InIndex(state.searcher, query, conditions, state.look, within, few), list(conditions))
        options = of_variants(lambda each: _count(state.searcher, each), query, conditions, counts["options"])
        return counting.told(counts, options)

    def _counted(self, state: _State, query: Query) -> tuple[int, int]:
        """How many a query finds, and how many of them are sold out."""
        sold_out = _count(state.searcher, narrowed(query, [self._sold_out])) if state.has_sold_out else 0
        return _count(state.searcher, query), sold_out

    def _pinned(self, searcher: tantivy.Searcher, slug: str, conditions: Iterable[Query]) -> Any:
        """Where the offer lies, if it is one and within the conditions."""
        hits = searcher.search(narrowed(self._matching.term("offer_slug", slug), conditions), 1, count=False).hits
        return hits[0][1] if hits else None

    def _ranked(
        self, state: _State, _sort: OfferSort, summary: _Summary, offset: int, first: int
    ) -> tuple[list[bytes], int | None]:
        if offset >= summary.rest:
            return [], None
        sold = summary.rest - summary.sold_out
        if min(offset + first, summary.rest) <= len(summary.best):
            return self._ranked_on(state, summary, offset, summary.best[offset : offset + first])
        query = without(summary.query, self._sold_out) if summary.sold_out else summary.query
        hits = _best(state.searcher, query, offset, min(first, sold - offset))
        if summary.sold_out:
            last = narrowed(summary.query, [self._sold_out])
            hits += _best(state.searcher, last, max(offset - sold, 0), first - len(hits))
        return self._ranked_on(state, summary, offset, hits)

    def _ranked_on(self, state: _State, summary: _Summary, offset: int, hits: Hits) -> tuple[list[bytes], int | None]:
        """Documents of a page that begins at `offset`, and where the ranking goes on."""
        following = offset + len(hits)
        if not hits or following >= summary.rest:
            return _documents(state.searcher, hits), None
        self._keep(state)
        return _documents(state.searcher, hits), following

    def _ordered(
        self, state: _State, sort: OfferSort, summary: _Summary, behind: int, first: int
    ) -> tuple[list[bytes], int | None]:
        name, query = _ORDERS[sort], summary.query
        # Every key is greater than 0.
        if behind:
            onward = Query.range_query(self._schema, name, FieldType.Unsigned, lower_bound=behind, include_lower=False)
            query = narrowed(query, [onward])
        hits = state.searcher.search(query, first + 1, count=False, order_by_field=name, order=Order.Asc).hits
        page = hits[:first]
        return _documents(state.searcher, page), page[-1][0] if len(hits) > len(page) else None


def _is_ranked(question: Question) -> bool:
    """Whether words decide what comes first."""
    return question.sort == "relevance" and bool(question.words.strip())


def _id_in(name: str) -> str | None:
    """A product's id as it is indexed, if `name` is one."""
    with contextlib.suppress(ValueError):
        return UUID(name).hex
    return None


# --- what lies in the folder


def open_index(folder: Path, locale: str, *, afresh: bool = False) -> TantivyIndex:
    """The index in `folder`, emptied when it cannot be read, or `afresh`. Blocks."""
    if afresh:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        return TantivyIndex(folder, locale)
    except IndexUnreadable:
        shutil.rmtree(folder, ignore_errors=True)
        return TantivyIndex(folder, locale)


def read_sequence(folder: Path, searcher: tantivy.Searcher) -> int:
    """The sequence up to which rows were taken over.

    Raises ValueError where somebody else wrote to the folder since; and where something was taken over, nobody knows
    up to where: whoever begins at 0 is not told of what is gone since.
    """
    sequence = ""
    with contextlib.suppress(FileNotFoundError):
        sequence, _, left = (folder / "sequence").read_text(errors="replace").partition(" ")
        if left:
            require_left(folder, left)
    if searcher.num_docs and not sequence.isdecimal():
        raise ValueError("Nobody knows up to where the index was filled.")
    return int(sequence) if sequence.isdecimal() else 0


def write_sequence(folder: Path, sequence: int, left: str = "") -> None:
    """After the commit: killed in between, rows are taken over twice, which changes nothing."""
    beside = folder / "sequence.new"
    beside.write_text(f"{sequence} {left}".strip())
    os.replace(beside, folder / "sequence")


def write_at_rest(folder: Path, sequence: int) -> str:
    """Note how the folder is left by one who writes no more, and return that. A writer merges beside its commits."""
    left = left_in(folder)
    write_sequence(folder, sequence, left)
    return left


def left_in(folder: Path) -> str:
    """What tells one state of a folder from another."""
    return hashlib.sha256((folder / "meta.json").read_bytes()).hexdigest()


def require_left(folder: Path, left: str) -> None:
    """Raises ValueError where the folder is not as it was left: what is written then would stand without the rest."""
    if left_in(folder) != left:
        raise ValueError("Somebody else wrote to the folder of the index.")


# --- finding


def _first_that_finds(searcher: tantivy.Searcher, stages: dict[str, Query]) -> tuple[str, Any]:
    """A stage, and what `_first_of` says of it."""

    def first(name: str) -> Any:
        return _first_of(searcher, stages[name], is_ranked=True)

    if len(stages) == 1 or _count(searcher, stages["code"]) > 0:
        name = next(iter(stages))
        return name, first(name)
    exactly = first("words")
    if exactly.count >= FEW:
        return "words", exactly
    nearly = first("nearly")
    if nearly.count > 0:
        return ("nearly", nearly) if nearly.count > exactly.count else ("words", exactly)
    return ("words", exactly) if exactly.count else ("any", first("any"))


def _count(searcher: tantivy.Searcher, query: Query) -> int:
    # `count` is there, though the stubs of 0.27 do not say so.
    result: Any = searcher.search(query, 1)
    return int(result.count)


def _first_of(searcher: tantivy.Searcher, query: Query, *, is_ranked: bool = False) -> Any:
    """How many there are (`count`), and so many of them (`hits`) as are counted by hand: of a ranking, the first."""
    return searcher.search(query, counting.COUNTED_BY_HAND, weight_by_field="boost" if is_ranked else None)


def _best(searcher: tantivy.Searcher, query: Query, offset: int, most: int) -> list[Any]:
    """Hits of a ranking."""
    if most <= 0:
        return []
    hits: list[Any] = searcher.search(query, most, count=False, offset=offset, weight_by_field="boost").hits
    return hits


def _documents(searcher: tantivy.Searcher, hits: Iterable[tuple[Any, Any]]) -> list[bytes]:
    return [_stored(searcher, address, "document") for _, address in hits]


def _stored(searcher: tantivy.Searcher, address: tantivy.DocAddress, name: str) -> bytes:
    value: bytes = searcher.doc(address)[name][0]
    return value
