"""Health as one HTML page with plots in SVG: it runs nothing, loads nothing, and can be sent by mail."""

import html
import math
from collections.abc import Callable, Sequence

from engine.reports.health import Health, HealthPoint, HealthRow
from engine.usage import to_usd

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#1f2328}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d1d9e0;padding:.3rem .6rem;"
    "text-align:right}td:first-child,th:first-child{text-align:left}svg{display:block;margin:.5rem 0 1.5rem}"
)
_WIDTH, _HEIGHT, _ROW, _NAMES = 900, 150, 26, 300
_COLOURS = {"p50": "#1a7f37", "p95": "#9a6700", "p99": "#cf222e"}
_HEADINGS = ("calls", "failed", "p50", "p95", "p99 s", "tokens", "USD", "from provider caches")
_MOST_ROWS = 40


def to_html(health: Health, by: Sequence[str]) -> str:
    """Give it as one HTML file.

    Args:
        health: what is shown.
        by: what its rows are told apart by.
    """
    title = f"Health by {', '.join(by)}"
    shown = health.rows[:_MOST_ROWS]
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        f"<p>{html.escape(_summary(health))}</p>",
        "<h2>Seconds of calls that were answered</h2>",
        _lines(health.points, {name: _quantile(name) for name in _COLOURS}, _COLOURS, "s"),
        "<h2>Calls and those that failed</h2>",
        _bars(health.points, [(lambda point: point.calls, "#54aeff"), (lambda point: point.failed, "#cf222e")], ""),
        "<h2>Tokens</h2>",
        _bars(health.points, [(lambda point: point.tokens, "#8250df")], ""),
        "<h2>USD</h2>",
        _bars(health.points, [(lambda point: point.nano_usd / 1e9, "#9a6700")], ""),
        "<h2>Share that failed, and 95 % intervals</h2>",
        _intervals([(_name(row), row.failed / row.calls, row.failure.low, row.failure.high) for row in shown], 1.0),
        "<h2>p95 in seconds, and 95 % intervals</h2>",
        _intervals(_p95s(shown)),
        f"<table><tr><th>{html.escape(', '.join(by))}</th>{''.join(f'<th>{one}</th>' for one in _HEADINGS)}</tr>",
        *map(_row, shown),
        "</table>",
    ]
    if len(health.rows) > len(shown):
        parts.append(f"<p>The {len(shown)} that fail most, of {len(health.rows):,}.</p>")
    return "\n".join(parts) + "</html>\n"


def _summary(health: Health) -> str:
    told = [f"{health.calls:,} calls of runs that began in {health.hours:.3g} h"]
    told += ["only the newest were looked at"] if health.is_sample else []
    told += [f"runs: {', '.join(f'{many:,} {status}' for status, many in health.runs.items())}"] if health.runs else []
    told += [f"{many:,} {what}" for what, many in health.guardrails.items()]
    told += [f"{health.fallbacks:,} fallbacks"] if health.fallbacks else []
    told += [] if health.cached_steps is None else [f"{health.cached_steps:.1%} of steps from the cache"]
    told += [f"left alone: {', '.join(health.open_breakers)}"] if health.open_breakers else []
    told += [] if health.queue_lag is None else [f"the first queued run has been due for {health.queue_lag:.0f} s"]
    return "; ".join(told)


def _quantile(name: str) -> Callable[[HealthPoint], float | None]:
    return lambda point: point.seconds.get(name)


def _lines(
    points: Sequence[HealthPoint],
    series: dict[str, Callable[[HealthPoint], float | None]],
    colours: dict[str, str],
    unit: str,
) -> str:
    """Draw a line a series; where there is nothing, the line has a gap."""
    values = {name: [value(point) for point in points] for name, value in series.items()}
    top = max((one for those in values.values() for one in those if one is not None), default=0.0) or 1.0
    parts = [_begin(points, top, unit)]
    for row, (name, those) in enumerate(values.items()):
        line = ""
        for place, value in enumerate(those):
            if value is not None:
                is_on = place > 0 and those[place - 1] is not None
                line += f"{'L' if is_on else 'M'}{_x(place, len(points)):.1f} {_y(value, top):.1f}"
                parts.append(
                    f"<circle cx='{_x(place, len(points)):.1f}' cy='{_y(value, top):.1f}' r='2' fill='{colours[name]}'>"
                    f"<title>{name} {value:.4g} {unit}</title></circle>"
                )
        parts.append(f"<path d='{line}' fill='none' stroke='{colours[name]}' stroke-width='1.5'/>")
        parts.append(f"<text x='{_WIDTH - 40}' y='{14 + row * 14}' fill='{colours[name]}'>{name}</text>")
    return "".join(parts) + "</svg>"


def _bars(
    points: Sequence[HealthPoint], series: Sequence[tuple[Callable[[HealthPoint], float], str]], unit: str
) -> str:
    """Draw bars, those of a later series before those of an earlier one."""
    top = max((value(point) for value, _ in series for point in points), default=0.0) or 1.0
    wide = (_WIDTH - 60) / max(1, len(points)) * 0.8
    parts = [_begin(points, top, unit)]
    for value, colour in series:
        for place, point in enumerate(points):
            if much := value(point):
                y = _y(much, top)
                parts.append(
                    f"<rect x='{_x(place, len(points)) - wide / 2:.1f}' y='{y:.1f}' width='{wide:.1f}' "
                    f"height='{_HEIGHT - y:.1f}' fill='{colour}'><title>{much:,.6g}</title></rect>"
                )
    return "".join(parts) + "</svg>"


def _intervals(rows: Sequence[tuple[str, float, float, float]], top: float | None = None) -> str:
    """Draw a value a row, with where it lies; an end without a bound goes on to the edge."""
    if not rows:
        return "<p>none</p>"
    reach = top or max(max(value, high if math.isfinite(high) else value) for _, value, _, high in rows) or 1.0
    height = _ROW * len(rows) + 20

    def x(value: float) -> float:
        return _NAMES + (_WIDTH - _NAMES - 60) * max(0.0, min(1.0, value / reach))

    parts = [f"<svg viewBox='0 0 {_WIDTH} {height}' width='100%' role='img' font-size='12'>"]
    for row, (name, value, low, high) in enumerate(rows):
        y = row * _ROW + 14
        ends = x(low if math.isfinite(low) else 0.0), x(high if math.isfinite(high) else reach)
        parts.append(f"<text x='0' y='{y + 4}'>{html.escape(name[:44])}</text>")
        parts.append(
            f"<line x1='{ends[0]:.1f}' x2='{ends[1]:.1f}' y1='{y}' y2='{y}' stroke='#8c959f' stroke-width='3'/>"
        )
        parts.append(f"<circle cx='{x(value):.1f}' cy='{y}' r='5' fill='#0969da'><title>{value:.4g}</title></circle>")
        parts.append(f"<text x='{_WIDTH - 50}' y='{y + 4}'>{value:.3g}</text>")
    parts.append(f"<text x='{_NAMES}' y='{height - 4}' fill='#59636e'>0</text>")
    parts.append(f"<text x='{_WIDTH - 60}' y='{height - 4}' fill='#59636e' text-anchor='end'>{reach:.3g}</text>")
    return "".join(parts) + "</svg>"


def _begin(points: Sequence[HealthPoint], top: float, unit: str) -> str:
    first, last = (points[place].at.strftime("%Y-%m-%d %H:%M") for place in (0, -1))
    base = f"<line x1='50' x2='{_WIDTH}' y1='{_HEIGHT}' y2='{_HEIGHT}' stroke='#8c959f'/>"
    return (
        f"<svg viewBox='0 0 {_WIDTH} {_HEIGHT + 20}' width='100%' role='img' font-size='12'>{base}"
        f"<text x='0' y='14' fill='#59636e'>{top:,.3g} {unit}</text><text x='0' y='{_HEIGHT}' fill='#59636e'>0</text>"
        f"<text x='50' y='{_HEIGHT + 15}' fill='#59636e'>{first}</text>"
        f"<text x='{_WIDTH}' y='{_HEIGHT + 15}' fill='#59636e' text-anchor='end'>{last} UTC</text>"
    )


def _x(place: int, many: int) -> float:
    return 50 + (_WIDTH - 60) * (place + 0.5) / many


def _y(value: float, top: float) -> float:
    return _HEIGHT - (_HEIGHT - 10) * value / top


def _name(row: HealthRow) -> str:
    return " / ".join("-" if value is None else str(value) for value in row.dimensions.values())


def _p95s(rows: Sequence[HealthRow]) -> list[tuple[str, float, float, float]]:
    timed = [(_name(row), *row.seconds["p95"]) for row in rows if row.seconds]
    return [(name, value, ends.low, ends.high) for name, value, ends in timed]


def _row(row: HealthRow) -> str:
    took = [f"{value:.3g}" for value, _ in row.seconds.values()] or ["-"] * 3
    usd = f"{to_usd(row.nano_usd) or 0:.6f}" + (f" and {row.unpriced:,} unknown" if row.unpriced else "")
    cached = "-" if row.cached_tokens is None else f"{row.cached_tokens:.1%}"
    cells = [f"{row.calls:,}", f"{row.failed:,}", *took, f"{row.input_tokens + row.output_tokens:,}", usd, cached]
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in [_name(row), *cells])}</tr>"
