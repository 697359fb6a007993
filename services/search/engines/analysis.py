"""How texts become words, per language: lower case, stems, then letters without their marks."""

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
_LONGEST_WORD = 80


@dataclass(frozen=True)
class Analysis:
    """The analyzers of one language: `plain` words as typed, `stemmed` ones, whole `codes`, and words as `spelled`."""

    plain: tantivy.TextAnalyzer
    stemmed: tantivy.TextAnalyzer
    codes: tantivy.TextAnalyzer
    spelled: tantivy.TextAnalyzer

    def words(self, text: str) -> list[str]:
        """The words of `text` in order, each once."""
        return list(dict.fromkeys(self.plain.analyze(text)))

    def spelled_words(self, text: str) -> list[str]:
        """As `words`, with the marks of their letters."""
        return list(dict.fromkeys(self.spelled.analyze(text)))

    def stem(self, word: str) -> str:
        """What `word` is indexed as in stemmed fields."""
        return next(iter(self.stemmed.analyze(word)), word)


@cache
def analysis_of(language: str) -> Analysis:
    """The analyzers of `language`, a locale's first part: `de` of `de-AT`."""
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


def _spelled() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    return builder.filter(tantivy.Filter.remove_long(_LONGEST_WORD)).filter(tantivy.Filter.lowercase()).build()


def _codes() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.lowercase()).build()
