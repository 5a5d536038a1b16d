"""PresidioPii: the personal data that Presidio's analyzer finds, names and addresses too, if its model knows them."""

import importlib
from functools import cache
from typing import Any, Literal

from pydantic import Field

from engine import Action, ConfigurationError, GuardItem, Guardrail, Span, Verdict
from engine.definition.by_path import Code, Many
from guardrails.taking_out import to_the_end


class PresidioPii(Guardrail):
    """Finds what Microsoft Presidio's analyzer finds; extra `presidio`, and a language model of spaCy's of your own.

    `Pii` needs no model and is faster; this is for names of people, places and whatever recognisers you have. What it
    finds and misses is the analyzer's affair, as are the labels of its spans (PERSON, LOCATION). It loads nothing from
    a hub: without `analyzer`, spaCy's model for English must be installed.
    """

    action: Literal["mask", "redact", "hash", "tokenise", "block", "flag"] = "mask"
    """What is done, as with Pii: [PERSON] in its place, nothing, a mark, a token, the run ends, or only a note."""
    entities: Many[str] = ()
    """What is looked for, as Presidio calls it; all that it knows if empty."""
    language: str = "en"
    """The language of the texts, as two letters."""
    least_score: float = Field(default=0.5, ge=0, le=1)
    """The score from which a finding counts."""
    analyzer: Code | None = None
    """A function without arguments that makes your analyzer, once; left out, Presidio's own for English."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        """Say where personal data stands in a text.

        Raises:
            ConfigurationError: the extra, or the model that it needs, is not installed.
        """
        scores: list[float] = []
        spans = to_the_end(text, lambda left: self._find(left, scores), self.action)
        if not spans:
            return Verdict(action=Action.ALLOW)
        kinds = ", ".join(dict.fromkeys(span.label for span in spans))
        return Verdict(
            action=Action(self.action), reason=f"the text holds {kinds}", score=max(scores), spans=tuple(spans)
        )

    def _find(self, text: str, scores: list[float]) -> list[Span]:
        engine = _made(self.analyzer) if self.analyzer is not None else _of_presidio()
        wanted = list(self.entities) or None
        results = engine.analyze(text=text, language=self.language, entities=wanted, score_threshold=self.least_score)
        spans: list[Span] = []
        for one in sorted(results, key=lambda one: (one.start, -one.end)):
            if spans and one.start < spans[-1].end:  # what overlaps goes as one
                spans[-1] = spans[-1].model_copy(update={"end": max(one.end, spans[-1].end)})
            else:
                spans.append(Span(start=one.start, end=one.end, label=one.entity_type))
            scores.append(one.score)
        return spans


@cache
def _made(path: Any) -> Any:
    return path.load()()


@cache
def _of_presidio() -> Any:
    try:
        presidio: Any = importlib.import_module("presidio_analyzer")
        spacy: Any = importlib.import_module("spacy")
    except ImportError as error:
        raise ConfigurationError("PresidioPii needs the extra: pip install 'flowledger[presidio]'") from error
    if not spacy.util.is_package("en_core_web_lg"):  # else it would be fetched
        raise ConfigurationError(
            "PresidioPii needs a model: install spaCy's en_core_web_lg, or name a function that makes your analyzer "
            "with `analyzer`"
        )
    return presidio.AnalyzerEngine()
