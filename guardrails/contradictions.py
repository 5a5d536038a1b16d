"""Find clauses that deny what their source says, or say its opposite, about much the same words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import cast

from guardrails.opposites import PAIRS
from guardrails.words import COMMON, SENTENCE, plain_words, stem

_CLAUSE = re.compile(r"[,;]| and | but | while | although ")
_NOT = ("not", "no", "never", "none", "nobody", "nothing", "without", "neither", "nor", "cannot", "t")
_DENIALS = frozenset({*_NOT, "unable", "hardly", "fail", "failed", "fails", "refuse", "refused", "refuses"})
_PREFIXES = ("un", "in", "im", "ir", "il", "dis", "non", "mis")
_SHORTEST = 4  # letters that a prefix turns round
_SAME = 0.4  # the share of a clause's words that a sentence has if it is about the same
_FEWEST = 2  # words besides the ones that are opposed
_MOST_CLAUSES = 50  # that are compared, so that the time stays in proportion to the text


def _denies(words: list[str]) -> bool:
    """Say whether a clause denies something; "no" at its end stands for a number or an answer."""
    return not _DENIALS.isdisjoint(words[:-1])


def _opposites() -> dict[str, set[str]]:
    opposites: dict[str, set[str]] = defaultdict(set)
    for one, other in PAIRS:
        opposites[stem(one)].add(stem(other))
        opposites[stem(other)].add(stem(one))
    return opposites


_OPPOSITES = _opposites()
_EMPTY = COMMON | {stem(word) for word in COMMON | _DENIALS}


class Sentences:
    """The sentences of the sources, by the words in them."""

    def __init__(self, text: str) -> None:
        self._with: dict[str, list[int]] = defaultdict(list)
        self._forms: dict[str, str] = {}
        self._denying: set[int] = set()
        for number, sentence in enumerate(cast("list[str]", SENTENCE.findall(text))):
            words = plain_words(sentence)
            if _denies(words):
                self._denying.add(number)
            for word, form in {stem(word): word for word in words}.items():
                self._with[word].append(number)
                self._forms.setdefault(word, form)

    def against(self, answer: str) -> Iterator[str]:
        """Say of each clause of an answer that denies or turns round what a sentence says, what is wrong with it."""
        yield from (f"“{clause[:60]}” {why}" for clause, why in islice(self._against(answer), _MOST_CLAUSES) if why)

    def _against(self, answer: str) -> Iterator[tuple[str, str]]:
        for sentence in cast("list[str]", SENTENCE.findall(answer)):
            for clause in cast("list[str]", _CLAUSE.split(sentence)):
                words = plain_words(clause)
                forms = {stem(word): word for word in words}
                content = forms.keys() - _EMPTY
                if _denies(words) and len(content) >= _FEWEST:
                    yield (
                        clause.strip(" .!?"),
                        "denies something that the sources do not deny" * self._is_denied(content),
                    )
                for word in content:
                    if word not in self._with and (turned := self._turned(word)) and len(content) > _FEWEST:
                        said = f"says {forms[word]!r} where the sources say {self._forms[turned]!r}"
                        yield clause.strip(" .!?"), said * self._is_turned(content - {word}, turned)

    def _about(self, content: set[str]) -> Counter[int]:
        """Count the words that each sentence shares; those that share too few are left out."""
        shared = Counter(number for word in content for number in self._with.get(word, ()))
        return Counter({number: count for number, count in shared.items() if count >= _SAME * len(content)})

    def _is_denied(self, content: set[str]) -> bool:
        about = self._about(content)
        most = max(about.values(), default=0)
        return bool(about) and not any(count >= most - 1 and n in self._denying for n, count in about.items())

    def _is_turned(self, content: set[str], turned: str) -> bool:
        return any(number in self._about(content) for number in self._with[turned])

    def _turned(self, word: str) -> str | None:
        """Give the opposite of a word that the sources have."""
        found = [one for one in sorted(_OPPOSITES.get(word, ())) if one in self._with]
        for prefix in _PREFIXES:
            rest = word.removeprefix(prefix)
            if rest != word and len(rest) >= _SHORTEST and rest in self._with:
                found.append(rest)
            if len(word) >= _SHORTEST and prefix + word in self._with:
                found.append(prefix + word)
        return found[0] if found else None
