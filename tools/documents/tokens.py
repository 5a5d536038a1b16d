"""Words of a query and bigrams of scripts without spaces, so that user text is never query syntax."""

import unicodedata
from itertools import pairwise
from typing import Any

import re2

MAX_TERMS = 128
"""Distinct terms of one query; what follows adds time and hardly any meaning."""

_COMMON = """
a about above after again all also although am an and any are as at be because been before being below between both
but by can could did do does doing down during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just me more most my myself no nor not of off on once only
or other our ours ourselves out over own same she should so some such than that the their theirs them themselves
then there these they this those through to too under until up upon very was we were what when where which while
who whom whose why will with would you your yours yourself yourselves
"""
STOP_WORDS = frozenset(_COMMON.split())
"""English words that say nothing about a subject; a query of nothing else keeps them."""

# Scripts that write without spaces between words (Hangul has spaces, but glues endings to its words).
_RUN = re2.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]+")
_WORD = re2.compile(r"[\p{L}\p{N}\p{M}]+")


def bigrams(run: str) -> list[str]:
    """Cut a run of characters into overlapping pairs; a single character stays."""
    return [first + second for first, second in pairwise(run)] or [run]


def spaced(text: str) -> str:
    """Give the words of a text that hold a script without spaces, its runs as bigrams; empty where there are none.

    Latin words and numbers that touch such a run are set apart too: the tokenizer would glue them to it.
    """
    if text.isascii():
        return ""
    plain = _plain(text)
    if not _RUN.search(plain):
        return ""
    return " ".join(_RUN.sub(_as_bigrams, word) for word in plain.split() if _RUN.search(word))


def match_query(text: str) -> str:
    """Write what a person typed as an FTS5 query: any of its terms, each quoted; empty where it has none."""
    plain = _plain(text)
    runs = _all(_RUN, plain)
    words = list(dict.fromkeys(_all(_WORD, _RUN.sub(" ", plain).lower())))
    telling = [word for word in words if word not in STOP_WORDS]
    terms = [f'"{term}"' for term in telling or ([] if runs else words)]
    # A lone character is the beginning of the bigrams that hold it.
    terms += [f'"{pair}"' if len(pair) > 1 else f'"{pair}"*' for run in runs for pair in bigrams(run)]
    return " OR ".join(list(dict.fromkeys(terms))[:MAX_TERMS])


def _all(pattern: Any, text: str) -> list[str]:
    return [str(match.group()) for match in pattern.finditer(text)]


def _as_bigrams(match: Any) -> str:
    return f" {' '.join(bigrams(match.group()))} "


def _plain(text: str) -> str:
    """Normalise full-width letters and ligatures; lone surrogates, which no database takes, become question marks."""
    return unicodedata.normalize("NFKC", text.encode(errors="replace").decode())
