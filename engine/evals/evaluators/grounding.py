"""Evaluators of whether an answer stands on the passages: screens, not judgements.

They find what is quoted wrongly and what shares no words with the passages. A sentence that says the opposite in the
same words passes: that takes a judge.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import Field

from engine.evals.evaluators.answers import Answer, words_of
from engine.evals.evaluators.evaluator import Score
from engine.evals.trial import Trial

_QUOTED = re.compile(r'"([^"\n]+)"|“([^”\n]+)”|„([^“\n]+)“|«([^»\n]+)»')
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


class QuotesStand(Answer):
    """The share of quotations in the field that stand in a passage word for word; None where nothing is quoted."""

    shortest: int = Field(default=3, ge=1)
    """Quotations of fewer words do not count."""

    def score(self, trial: Trial) -> Score:
        """Look for each."""
        quotes = ["".join(groups) for groups in _QUOTED.findall(str(trial.output.get(self.of, "")))]
        quotes = [quote for quote in quotes if len(quote.split()) >= self.shortest]
        texts = [" ".join(words_of(passage.text)) for passage in trial.passages]
        lost = [quote for quote in quotes if not any(" ".join(words_of(quote)) in text for text in texts)]
        if not quotes:
            return Score(None)
        return Score(1 - len(lost) / len(quotes), explanation=f"not in a passage: {lost[0]!r}" if lost else None)


class Supported(Answer):
    """The share of sentences of the field whose rare words stand in one passage: a screen for what is made up.

    On SciFact it tells supported claims from those without evidence (AUC 0.87), and not from contradicted ones.
    """

    at_least: float = Field(default=0.5, gt=0, le=1)
    """How much of a sentence's weight of words a passage has to have."""

    def score(self, trial: Trial) -> Score:
        """Weigh each sentence."""
        sentences = [one for one in _SENTENCE.split(str(trial.output.get(self.of, ""))) if words_of(one)]
        passages = [frozenset(words_of(passage.text)) for passage in trial.passages]
        if not sentences:
            return Score(None)
        if not passages:
            return Score(0.0, explanation="nothing was retrieved")
        weights = _weights(passages)
        lost = [one for one in sentences if support(words_of(one), passages, weights) < self.at_least]
        share = 1 - len(lost) / len(sentences)
        return Score(share, explanation=f"not supported: {lost[0].strip()!r}" if lost else None)


def support(words: Sequence[str], passages: Sequence[frozenset[str]], weights: Mapping[str, float]) -> float:
    """Give how much of the weight of words the passage has that has the most of it; unknown words weigh the most."""
    rarest = max(weights.values(), default=1.0)
    total = math.fsum(weights.get(word, rarest) for word in set(words))
    best = max(math.fsum(weights[word] for word in set(words) & passage) for passage in passages)
    return best / total if total else 0.0


def _weights(passages: Sequence[frozenset[str]]) -> dict[str, float]:
    """Weigh words by how few passages have them."""
    counts = Counter(word for passage in passages for word in passage)
    return {word: math.log(1 + (len(passages) + 1) / count) for word, count in counts.items()}
