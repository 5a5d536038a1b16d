"""What the gate said, for programs and people: JSON, JUnit, Markdown, and one HTML file that stands alone."""

import html
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast
from xml.etree import ElementTree

from engine.evals.gate import Decision, Gate, Limit, MetricDecision

_HEADINGS = ("metric", "decision", "cases", "baseline", "candidate", "difference", "p (adjusted)", "detectable", "why")
_COLOURS = {Decision.PASS: "#1a7f37", Decision.FAIL: "#cf222e", Decision.INCONCLUSIVE: "#9a6700"}
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1f2328}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d0d7de}
h1 b{padding:.1rem .6rem;border-radius:.4rem;color:#fff}code{background:#f6f8fa;padding:0 .25rem}"""
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WIDTH, _ROW = 640, 34  # of the drawing, in pixels


def to_json(gate: Gate) -> dict[str, Any]:
    """Give it as JSON; what is not known or has no bound is null."""
    plain: dict[str, Any] = _finite(asdict(gate))
    return {"schema": "flowledger.gate/1", **plain, "reasons": gate.reasons}


def to_markdown(gate: Gate, title: str) -> str:
    """Give it as Markdown, as for the summary of a pipeline."""
    lines = [f"## {_escaped(title)}: {gate.decision}", "", *(f"- {_escaped(reason)}" for reason in gate.reasons), ""]
    lines += [f"| {' | '.join(_HEADINGS)} |", f"|{'---|' * len(_HEADINGS)}"]
    lines += [f"| {' | '.join(map(_escaped, _cells(one)))} |" for one in gate.metrics]
    lines += ["", *(f"- {one.decision} {_escaped(one.name)}: {_escaped(one.reason or 'holds')}" for one in gate.limits)]
    lines += [f"- {_changed(gate, at)}" for at in range(len(gate.changes))]
    return "\n".join(lines) + "\n"


def to_junit(gate: Gate, title: str) -> str:
    """Give it as JUnit XML: a test a metric and a limit; what is inconclusive is an error, not a failure."""
    every: Sequence[MetricDecision | Limit] = [*gate.metrics, *gate.limits]
    counts = {
        "tests": len(every),
        "failures": sum(one.decision is Decision.FAIL for one in every),
        "errors": sum(one.decision is Decision.INCONCLUSIVE for one in every),
    }
    suite = ElementTree.Element(
        "testsuite", {"name": _xml(title), **{name: str(many) for name, many in counts.items()}}
    )
    for one in every:
        test = ElementTree.SubElement(suite, "testcase", {"classname": "gate", "name": _xml(one.name)})
        if one.decision is not Decision.PASS:
            kind = "failure" if one.decision is Decision.FAIL else "error"
            ElementTree.SubElement(test, kind, {"message": _xml(one.reason), "type": str(one.decision)})
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def to_html(gate: Gate, title: str) -> str:
    """Give it as one HTML file that loads nothing."""
    colour = _COLOURS[gate.decision]
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>{html.escape(title)}: {gate.decision}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(title)} <b style='background:{colour}'>{gate.decision}</b></h1>",
        _list(gate.reasons),
        _drawing(gate),
        f"<table><tr>{''.join(f'<th>{name}</th>' for name in _HEADINGS)}</tr>",
        *(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in _cells(one))}</tr>" for one in gate.metrics),
        "</table>",
    ]
    if gate.limits:
        told = [f"{one.decision} {one.name}: {one.reason or 'holds'}" for one in gate.limits]
        parts += ["<h2>Limits</h2>", _list(told)]
    if gate.changes:
        parts += ["<h2>What runs take</h2>", _list([_changed(gate, at) for at in range(len(gate.changes))])]
    for one in gate.metrics:
        if one.flaky or one.unpaired:
            steady = " ".join(f"{share:.3f}" for share in one.pass_hat)
            told = [f"pass^k: {steady}"] if steady else []
            told += [f"flaky: {', '.join(one.flaky)}"] if one.flaky else []
            told += [f"on one side only: {', '.join(one.unpaired)}"] if one.unpaired else []
            parts += [f"<h2>{html.escape(one.name)}</h2>", _list(told)]
    return "\n".join(parts) + "</html>\n"


def _drawing(gate: Gate) -> str:
    """Draw where each difference lies, with the margin and zero."""
    drawn = [one for one in gate.metrics if not math.isnan(one.effect)]
    if not drawn:
        return ""
    reach = (
        max(gate.policy.margin, *(abs(one.effect) for one in drawn), *(min(1.0, abs(one.low)) for one in drawn)) * 1.1
    )

    def x(value: float) -> str:
        return f"{_WIDTH * (0.5 + max(-1.0, min(1.0, value / reach)) / 2):.1f}"

    height = _ROW * len(drawn) + 20
    lines = [(0.0, "#59636e", "0"), (-gate.policy.margin, "#cf222e", f"-{gate.policy.margin:g}")]
    parts = [f"<svg viewBox='0 0 {_WIDTH} {height}' width='{_WIDTH}' role='img' font-size='12'>"]
    for value, colour, label in lines:
        parts.append(f"<line x1='{x(value)}' x2='{x(value)}' y1='0' y2='{height - 16}' stroke='{colour}'/>")
        parts.append(f"<text x='{x(value)}' y='{height - 2}' text-anchor='middle' fill='{colour}'>{label}</text>")
    for row, one in enumerate(drawn):
        y = row * _ROW + 24
        colour = _COLOURS[one.decision]
        parts.append(f"<text x='0' y='{y - 8}'>{html.escape(one.name)}</text>")
        parts.append(f"<line x1='{x(one.low)}' x2='{x(reach)}' y1='{y}' y2='{y}' stroke='{colour}' stroke-width='3'/>")
        parts.append(f"<circle cx='{x(one.effect)}' cy='{y}' r='5' fill='{colour}'/>")
    return "".join(parts) + "</svg>"


def _cells(one: MetricDecision) -> list[str]:
    return [
        one.name,
        str(one.decision),
        f"{one.cases:,} ({one.better:,} better, {one.worse:,} worse)",
        figure(one.baseline),
        figure(one.candidate),
        f"{figure(one.effect)} (at least {figure(one.low)})",
        f"{one.p:.4f} ({one.adjusted:.4f})",
        "-" if one.detectable is None else f"{one.detectable:.3f}",
        one.reason,
    ]


def _changed(gate: Gate, at: int) -> str:
    one = gate.changes[at]
    return f"{one.name} per run: {one.baseline:.6g} to {one.candidate:.6g} over {one.cases:,} cases (p {one.p:.4f})"


def figure(value: float) -> str:
    """Show a figure; what is not known or has no bound is a dash."""
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")


def _xml(text: str) -> str:
    """Leave out what XML 1.0 cannot hold: most control characters, surrogates and two that are no characters."""
    return _NOT_XML.sub("", text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in cast("Sequence[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value
