"""Citations: an answer cites sources that exist, and its quotations and numbers stand in them."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import re2

from engine import Action, GuardItem, Guardrail, Verdict
from guardrails.patterns import encodable

_QUOTE = re2.compile(r'"([^"\n]+)"|“([^”\n]+)”')  # no counted repetition: it would cost memory for nothing
# Python's own expressions: none has to look at a place twice, and a find costs a tenth of what it costs with RE2.
_MARK = re.compile(r"\[([^\[\]\n]+)\]")
_NUMBERS = re.compile(r"[0-9]{1,3}(?:\s*[,;]\s*[0-9]{1,3})*")
_FIGURE = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_PLAIN = re.compile(r"[`*_\s]+")
_MOST_FAULTS = 5
_MOST_LOOKED_THROUGH = 500_000_000  # characters of sources, each quotation through all: about a second at the worst

_DOES_NOT_KNOW = (
    "i do not know",
    "i don't know",
    "i cannot answer",
    "i can't answer",
    "none of the passages",
    "the passages do not",
    "not in the passages",
    "no information about",
)


class Citations(Guardrail):
    """Checks the marks of an answer ([1], [2, 3] or a passage's id), its quotations and its numbers.

    What it can say: every cited source exists, every quotation of four words or more and every number of two digits or
    more occurs in a cited source. These are necessary, not sufficient: whether the sources *entail* the answer is for a
    judge. An answer that says that it does not know is not grounded, nor is one with more quotations than can be looked
    for in a second, which is a thousand in half a megabyte of sources.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    of: str = "answer"
    """The field that holds the answer."""
    sources: str = "passages"
    """The field that holds the passages."""
    require: bool = True
    """Whether an answer without a citation is turned down."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The answer and its sources."""
        return (self.of, self.sources)

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Check the answer against its sources."""
        answer, passages = encodable(str(self._field(item, self.of) or "")), self._field(item, self.sources)
        if _says_that_it_does_not_know(answer):
            return [(self.of, Verdict(action=Action.BLOCK, reason="the answer says that it does not know"))]
        faults = self._faults(answer, cast("Sequence[Any]", passages or []))
        if not faults:
            return []
        more = f"; and {len(faults) - _MOST_FAULTS} more" if len(faults) > _MOST_FAULTS else ""
        reason = "; ".join(faults[:_MOST_FAULTS]) + more
        return [(self.of, Verdict(action=Action.REASK, reason=reason))]

    def _field(self, item: GuardItem, name: str) -> Any:
        if isinstance(item.value, Mapping) and name in item.value:
            return cast("Mapping[str, Any]", item.value)[name]
        return item.state.get(name)

    def _faults(self, answer: str, passages: Sequence[Any]) -> list[str]:
        by_id: dict[str, Any] = {str(number): passage for number, passage in enumerate(passages, 1)}
        with_ids = [cast("Mapping[str, Any]", one) for one in passages if isinstance(one, Mapping) and "id" in one]
        by_id |= {str(one["id"]): one for one in with_ids}
        cited = _cited(answer, by_id)
        faults = [f"it cites [{name}], which is not among the sources" for name in cited if name not in by_id]
        if self.require and not cited:
            return ["it cites no source"]
        texts = _folded(encodable(" ".join([_text(by_id[name]) for name in cited if name in by_id])))
        if cited:
            faults += _faults_of_quotes(answer, texts) + _faults_of_figures(_MARK.sub(" ", answer), texts)
        return faults


def _cited(answer: str, known: Mapping[str, Any]) -> list[str]:
    """Give the names that the marks of an answer cite; brackets that hold neither numbers nor an id are no marks."""
    cited: list[str] = []
    for inside in cast("list[str]", _MARK.findall(answer)):
        if _NUMBERS.fullmatch(inside):
            cited += [part.strip() for part in inside.replace(";", ",").split(",")]
        elif inside in known:
            cited.append(inside)
    return list(dict.fromkeys(cited))


def _faults_of_quotes(answer: str, texts: str) -> list[str]:
    found = (one or other for one, other in cast("list[tuple[str, str]]", _QUOTE.findall(answer)))
    quotes = list(dict.fromkeys(quote for quote in found if len(quote.split()) >= 4))
    if len(quotes) * len(texts) > _MOST_LOOKED_THROUGH:
        return [f"its {len(quotes)} quotations are too many to look for in {len(texts):,} characters of sources"]
    return [
        f"the quotation “{quote[:60]}” is not in a cited source"
        for quote in quotes
        if _folded(_MARK.sub(" ", quote)).strip(" .,;:!?") not in texts
    ]


def _faults_of_figures(answer: str, texts: str) -> list[str]:
    known = {_figure(text) for text in cast("list[str]", _FIGURE.findall(texts))}
    said = dict.fromkeys(cast("list[str]", _FIGURE.findall(answer)))
    return [
        f"the number {text} is not in a cited source" for text in said if len(text) > 1 and _figure(text) not in known
    ]


def _figure(text: str) -> str:
    """Fold thousands separators and trailing zeros: 1,000 is 1000, and 2.50 is 2.5."""
    whole, point, part = text.rpartition(".")
    if not point or "," in part or (len(part) == 3 and not whole.startswith("0")):
        return text.replace(",", "").replace(".", "")
    return f"{whole.replace(',', '')}.{part.rstrip('0')}".rstrip(".")


def _text(passage: Any) -> str:
    if not isinstance(passage, Mapping):
        return str(passage)
    fields = cast("Mapping[str, Any]", passage)
    return f"{fields.get('title') or ''} {fields.get('text') or ''}"


def _folded(text: str) -> str:
    return _PLAIN.sub(" ", unicodedata.normalize("NFKC", text).casefold())


def _says_that_it_does_not_know(answer: str) -> bool:
    lower = answer.replace("’", "'").casefold().strip()  # noqa: RUF001
    return not lower or any(phrase in lower[:200] for phrase in _DOES_NOT_KNOW)
