"""How texts become words, per language: lower case, stems, then letters without their marks.

Languages that put no space between words are cut into pairs of letters, found wherever they stand beside each other.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import tantivy

# Languages (ISO 639-1) with a Snowball stemmer in tantivy; in others a word is found as it is written.
_STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
}
_UNSPACED = frozenset({"ja", "km", "ko", "lo", "my", "th", "zh"})
_LONGEST_WORD = 80
# Latin words stand beside other letters without a space.
_RUN = re.compile(r"[a-z0-9]+|[^\Wa-z0-9]+", re.IGNORECASE)


def prepared(text: str) -> str:
    """`text` with one way to write each letter (NFKC, UAX #15): full or half width, marks apart or not, is the same."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


@dataclass(frozen=True)
class Analysis:
    """The analyzers of one language: `plain` words as typed, `stemmed`, whole `codes`, words as `spelled`."""

    plain: tantivy.TextAnalyzer
    stemmed: tantivy.TextAnalyzer
    codes: tantivy.TextAnalyzer
    spelled: tantivy.TextAnalyzer
    is_unspaced: bool = False

    def words(self, text: str) -> list[str]:
        """The words of `text` in order, each once; or its pairs of letters, and letters that stand alone."""
        said = prepared(text)
        if self.is_unspaced:
            said = " ".join(part for run in _RUN.findall(said) for part in (_pairs_in(run) or [run]))
        return list(dict.fromkeys(self.plain.analyze(said)))

    def indexed(self, text: str) -> str:
        """`text` as the analyzers take it from an offer: without spaces of its own, in pairs and single letters."""
        said = prepared(text)
        if not self.is_unspaced:
            return said
        return " ".join(part for run in _RUN.findall(said) for part in (*_pairs_in(run), *_letters_in(run)))

    def spelled_words(self, text: str) -> list[str]:
        """As `words`, with the marks of their letters."""
        return list(dict.fromkeys(self.spelled.analyze(prepared(text))))

    def stem(self, word: str) -> str:
        """What `word` is indexed as in stemmed fields."""
        return word if self.is_unspaced else next(iter(self.stemmed.analyze(word)), word)


@cache
def analysis_of(language: str) -> Analysis:
    """The analyzers of `language`, a locale's first part: `de` of `de-AT`."""
    if language in _UNSPACED:
        return Analysis(_analyzer(None), _analyzer(None), _codes(), _spelled(), is_unspaced=True)
    stemmer = _STEMMERS.get(language)
    return Analysis(_analyzer(None), _analyzer(stemmer), _codes(), _spelled())


def language_of(locale: str) -> str:
    return locale.split("-", 1)[0].lower()


def _analyzer(stemmer: str | None) -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(tantivy.Filter.remove_long(_LONGEST_WORD)).filter(tantivy.Filter.lowercase())
    if stemmer is not None:
        builder = builder.filter(tantivy.Filter.stemmer(stemmer))
    return builder.filter(tantivy.Filter.ascii_fold()).build()


def _pairs_in(run: str) -> list[str]:
    """Letters two by two; a Latin word is one as it is."""
    if run.isascii():
        return [run]
    return [run[at : at + 2] for at in range(len(run) - 1)]


def _letters_in(run: str) -> list[str]:
    """For whoever looks for a single letter."""
    return [] if run.isascii() else list(run)


def _spelled() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.remove_long(_LONGEST_WORD)).filter(tantivy.Filter.lowercase()).build()


def _codes() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.lowercase()).build()
