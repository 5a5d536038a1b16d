"""Take out what a guardrail finds, and what only comes to light, or comes together, when that is gone."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from engine import Action, Span, Verdict

_MOST_ROUNDS = 8


def to_the_end(text: str, find: Callable[[str], Sequence[Span]], action: str) -> Sequence[Span]:
    """Give what is found in a text, and in what is left when that is masked or cut out, until nothing more is.

    Args:
        text: any text.
        find: gives what is to be taken out of a text, in order and without overlaps.
        action: how it is taken out; with any but mask and redact nothing is.
    """
    spans = find(text)
    if action not in {Action.MASK, Action.REDACT}:
        return spans
    for _ in range(_MOST_ROUNDS if spans else 0):
        left = Verdict(action=Action(action), spans=tuple(spans)).applied_to(text)
        more = find(left)
        if not more:
            break
        spans = _merged([*spans, *_led_back(more, spans, masks=action == Action.MASK)])
    return spans


def _led_back(more: Iterable[Span], spans: Sequence[Span], *, masks: bool) -> Iterable[Span]:
    """Lead what was found in the text that is left back to the original; what touches a mask takes all behind it."""
    starts, ends, shift = list[int](), list[int](), 0
    for span in spans:
        put = len(span.label) + 2 if masks else 0
        starts.append(span.start + shift)
        ends.append(span.start + shift + put)
        shift += put - (span.end - span.start)

    def original(at: int, *, is_end: bool) -> int:
        number = bisect_right(starts, at - is_end) - 1  # the last one that begins before
        if number < 0:
            return at
        span = spans[number]
        if at - is_end < ends[number]:
            return span.end if is_end else span.start
        return span.end + at - ends[number]

    for one in more:
        yield Span(start=original(one.start, is_end=False), end=original(one.end, is_end=True), label=one.label)


def _merged(spans: Iterable[Span]) -> Sequence[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            merged[-1] = merged[-1].model_copy(update={"end": max(span.end, merged[-1].end)})
        else:
            merged.append(span)
    return merged
