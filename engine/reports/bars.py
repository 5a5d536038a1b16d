"""A bar chart as SVG that needs nothing else: no script, no font, no style sheet."""

from collections.abc import Sequence
from html import escape

_ROW, _BAR, _GAP, _TOP = 26, 18, 10, 44
_LETTER = 7.3  # what a letter of the text takes at the most, at a size of 12
_LONGEST = 44  # letters of a label
_CHART = 420


def as_svg(title: str, bars: Sequence[tuple[str, float, str]]) -> str:
    """Draw horizontal bars.

    Args:
        title: what stands above them, and is read out.
        bars: for each its label, its value (0 or more) and what is written at its end.
    """
    labels = [label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…" for label, _, _ in bars]
    left = round(max((len(label) for label in labels), default=0) * _LETTER) + 2 * _GAP
    right = round(max((len(shown) for _, _, shown in bars), default=0) * _LETTER) + 2 * _GAP
    width, height = max(left + _CHART + right, round(len(title) * 9) + 2 * _GAP), _TOP + len(bars) * _ROW + _GAP
    longest = max((value for _, value, _ in bars), default=0) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-label="{escape(title)}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_GAP}" y="24" font-size="15" fill="#111111">{_text(title)}</text>',
    ]
    for number, (label, (whole, value, shown)) in enumerate(zip(labels, bars, strict=True)):
        top = _TOP + number * _ROW
        long = round(_CHART * value / longest, 1)
        parts.append(
            f"<g><title>{_text(whole)}: {_text(shown)}</title>"
            f'<text x="{left - _GAP}" y="{top + 13}" text-anchor="end" fill="#333333">{_text(label)}</text>'
            f'<rect x="{left}" y="{top}" width="{long}" height="{_BAR}" fill="#3b6fb5"/>'
            f'<text x="{left + long + 6}" y="{top + 13}" fill="#333333">{_text(shown)}</text></g>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _text(said: str) -> str:
    """Escape a text, and leave out what XML cannot hold."""
    return escape("".join(letter for letter in said if letter.isprintable()))
