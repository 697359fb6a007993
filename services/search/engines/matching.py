"""What words ask for: how they must match, stage by stage, and the filter's conditions, as tantivy's queries."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import tantivy
from tantivy import FieldType, Occur, Query

from services.search.engines.analysis import Analysis
from services.search.engines.base import NamedBy
from shared.contracts.search.shapes import OfferFilter

# More words than these only make a query slow: they are left out.
_MOST_WORDS = 16
_SHORTEST_BEGINNING = 1
_SHORTEST_CODE = 3
# What a word of this length may differ by. Words with digits (sizes, models, codes) must be right.
_DISTANCES = ((8, 2), (4, 1))

_IN_TITLE, _IN_NAMES, _IN_TEXT, _AS_BEGINNING, _NEARLY, _MEANT = 6.0, 3.0, 1.0, 1.5, 0.4, 0.5

# Between the options of one variant; no text of the trade contains it.
_AND = "\x1e"
# Who sees what is for no customer group alone.
EVERYBODY = "*"

# By the stems of a phrase's words, the words of other phrases that are meant as well.
Phrases = Mapping[tuple[str, ...], Sequence[Sequence[str]]]


@dataclass(frozen=True)
class Conditions:
    """A filter's conditions by their facet: `category`, `price`, `attribute:<code>` …, and `option:<name>`.

    Those on options hold for one variant together. `options` are keys of values by the option's name.
    """

    matching: "Matching"
    plain: Mapping[str, Query]
    options: Mapping[str, Sequence[str]]

    def __iter__(self) -> Iterator[str]:
        yield from self.plain
        yield from (f"option:{name}" for name in self.options)

    def but(self, left_out: str | None = None) -> list[Query]:
        """All of them but one."""
        found = [query for key, query in self.plain.items() if key != left_out]
        names = [name for name in self.options if f"option:{name}" != left_out]
        return [*found, self.matching.of_one_variant([self.options[name] for name in names])] if names else found

    def beside(self, name: str, value: str) -> list[Query] | None:
        """What else must hold where a variant has this value of an option; None where no other option counts."""
        others = [keys for other, keys in self.options.items() if other != name.casefold()]
        if not others:
            return None
        return [*self.plain.values(), self.matching.of_one_variant([*others, [option_key(name, value)]])]


@dataclass(frozen=True)
class Matching:
    """Makes queries for one index."""

    schema: tantivy.Schema
    analysis: Analysis

    def stages(self, text: str, phrases: Phrases) -> "dict[str, Query]":
        """How `text` may match, the strictest first: its code alone, all words, all words nearly, any word.

        A word or phrase with others of its meaning in `phrases` matches by these as well. Without words there is one
        stage, everything. A text of no words at all matches nothing.
        """
        if not text.strip():
            return {"all": self.term("kind", "offer")}
        code = next(iter(self.analysis.codes.analyze(text.strip())), "")
        words = self.analysis.words(text)[:_MOST_WORDS]
        stages = {"code": self.term("codes", code)}
        if words:
            exact, nearly = [], []
            for phrase in self._phrases_in(words, phrases):
                alone = [self._word(word, is_last=word == words[-1]) for word in phrase]
                meant = [self._synonym(other) for other in phrases.get(self.key(phrase), ())]
                exact.append(_any([_all(alone), *meant]) if meant or len(alone) > 1 else alone[0])
                near = [self._nearly(word, query) for word, query in zip(phrase, alone, strict=True)]
                nearly.append(_any([_all(near), *meant]) if meant or len(near) > 1 else near[0])
            stages["words"] = _any([_all(exact), *self._code_beginning(code)])
            stages["nearly"] = _all(nearly)
            stages["any"] = _any(exact)
        return stages

    def key(self, words: Iterable[str]) -> tuple[str, ...]:
        """What a phrase is known by, whatever form its words have."""
        return tuple(map(self.analysis.stem, words))

    def phrases_of(self, others: Mapping[str, Sequence[str]]) -> Phrases:
        """Phrases that mean something else besides, as this language's words."""
        return {
            self.key(words): [meant for other in also if (meant := self.analysis.words(other))]
            for phrase, also in others.items()
            if (words := self.analysis.words(phrase))
        }

    def _phrases_in(self, words: Sequence[str], phrases: Phrases) -> list[list[str]]:
        """The words in their order, those together that mean something together; the longest phrase first."""
        longest = max(map(len, phrases), default=1)
        found, at = [], 0
        while at < len(words):
            lengths = range(min(longest, len(words) - at), 1, -1)
            length = next((n for n in lengths if self.key(words[at : at + n]) in phrases), 1)
            found.append(list(words[at : at + length]))
            at += length
        return found

    def _synonym(self, words: Sequence[str]) -> Query:
        """A phrase counts as one word would, and less than what was asked for."""
        return Query.boost_query(_all([self._word(word, is_last=False) for word in words]), _MEANT / len(words))

    def _word(self, word: str, *, is_last: bool) -> Query:
        stem = self.analysis.stem(word)
        ways = [
            Query.boost_query(self.term("title", stem), _IN_TITLE),
            Query.boost_query(self.term("names", word), _IN_NAMES),
            self.term("text", stem),
            Query.boost_query(self.term("codes", word), _IN_TITLE),
        ]
        if is_last and len(word) >= _SHORTEST_BEGINNING:
            beginning = Query.fuzzy_term_query(self.schema, "names", word, distance=0, prefix=True)
            ways.append(Query.boost_query(beginning, _AS_BEGINNING))
        return Query.disjunction_max_query(ways, 0.3)

    def _nearly(self, word: str, exact: Query) -> Query:
        distance = allowed_distance(word)
        if distance == 0:
            return exact
        near = Query.fuzzy_term_query(self.schema, "names", word, distance=distance)
        return Query.disjunction_max_query([exact, Query.boost_query(near, _NEARLY)], 0.1)

    def _code_beginning(self, code: str) -> list[Query]:
        if len(code) < _SHORTEST_CODE or " " in code:
            return []
        return [Query.fuzzy_term_query(self.schema, "codes", code, distance=0, prefix=True)]

    def boosted(self, query: Query, brands: Mapping[str, float], categories: Mapping[str, float]) -> Query:
        """`query`, with what is of these brands or in these categories counting for more; the greatest factor holds."""
        promoted = [(self.one_of("brand_key", [brand.casefold()]), factor) for brand, factor in brands.items()]
        promoted += [(self.one_of("categories", [path]), factor) for path, factor in categories.items()]
        ways = [Query.boost_query(narrowed(query, [condition]), factor) for condition, factor in promoted]
        return Query.disjunction_max_query([query, *ways], 0.0) if ways else query

    def conditions(self, wanted: OfferFilter) -> "Conditions":
        options: dict[str, list[str]] = {}
        for option in wanted.options:
            name = option.name.casefold()
            options.setdefault(name, []).extend(option_key(name, value) for value in option.values)
        return Conditions(self, self._plain_conditions(wanted), options)

    def _plain_conditions(self, wanted: OfferFilter) -> dict[str, Query]:
        found: dict[str, Query] = {}
        if wanted.category:
            found["category"] = self.one_of("categories", (path.strip("/") for path in wanted.category))
        if wanted.brand:
            found["brand"] = self.one_of("brand_key", map(str.casefold, wanted.brand))
        if wanted.price_min is not None or wanted.price_max is not None:
            found["price"] = Query.range_query(
                self.schema, "price", FieldType.Unsigned, wanted.price_min, wanted.price_max
            )
        if wanted.in_stock is not None:
            found["in_stock"] = self.term("kind", "available" if wanted.in_stock else "unavailable")
        for code in dict.fromkeys(attribute.code for attribute in wanted.attributes):
            values = (option_key(code, value) for a in wanted.attributes if a.code == code for value in a.values)
            found[f"attribute:{code}"] = self.one_of("attribute_keys", values)
        return found

    def of_one_variant(self, choices: Sequence[Sequence[str]]) -> Query:
        """Offers of which one variant has a value of each of these options, given as keys by option."""
        if len(choices) == 1:
            return self.one_of("option_keys", choices[0])
        return self.one_of("choice_keys", {choice_key(keys) for keys in product(*choices)})

    def named(self, by: NamedBy, name: str) -> Query:
        """The offers that a tuning means by a slug, a brand or a category."""
        match by:
            case "slug":
                return self.term("offer_slug", name)
            case "brand":
                return self.term("brand_key", name.casefold())
            case "category":
                return self.term("categories", name.strip("/"))

    def audience(self, group: str | None) -> Query:
        """What a customer group, or (None) everybody, sees: its own offers, and others' in whose place it has none."""
        usual = self.term("audience", EVERYBODY)
        if group is None:
            return usual
        return _any([self.term("audience", audience_of(group)), without(usual, self.term("replaced_for", group))])

    def term(self, field: str, value: str) -> Query:
        return Query.term_query(self.schema, field, value)

    def one_of(self, field: str, values: Iterable[str]) -> Query:
        return Query.term_set_query(self.schema, field, list(values))


def audience_of(group: str) -> str:
    """How an offer says that it is for a customer group alone."""
    return f"={group}"


def allowed_distance(word: str) -> int:
    """How many letters of a word may be wrong."""
    return next((distance for length, distance in _DISTANCES if len(word) >= length), 0) if word.isalpha() else 0


def option_key(name: str, value: str) -> str:
    """What an option's or attribute's value is filtered by: upper and lower case are the same."""
    return f"{name}\x1f{value}".casefold()


def choice_key(keys: Iterable[str]) -> str:
    """What options of one variant are filtered by together."""
    return _AND.join(sorted(keys))


def choice_keys(options: Sequence[str]) -> Iterator[str]:
    """Every choice of two options or more that a variant with these, as `name<US>value`, fits."""
    keys = [option_key(*option.split("\x1f", 1)) for option in options]
    for size in range(2, len(keys) + 1):
        yield from map(choice_key, combinations(keys, size))


def without(query: Query, others: Query) -> Query:
    """`query` but for `others`."""
    return Query.boolean_query([(Occur.Must, query), (Occur.MustNot, others)])


def with_others(query: Query, others: Query) -> Query:
    """`query` and `others`, which rank behind whatever the words find."""
    return _any([query, Query.const_score_query(others, 0.0)])


def _all(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Must, query) for query in queries])


def _any(queries: Sequence[Query]) -> Query:
    return Query.boolean_query([(Occur.Should, query) for query in queries])


def narrowed(query: Query, conditions: Iterable[Query]) -> Query:
    """`query` within conditions that do not count for the ranking."""
    inner = [(Occur.Must, Query.const_score_query(condition, 0.0)) for condition in conditions]
    return Query.boolean_query([(Occur.Must, query), *inner]) if inner else query
