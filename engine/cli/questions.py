"""How the command line shows what a run asks a person: the exact action, and what to say to it."""

import json
from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from engine.cli.render import errors, moment
from engine.records import QuestionRecord


def print_question(asked: QuestionRecord, values: dict[str, Any]) -> None:
    """Print what is asked, whole: what a person does not see they cannot agree to."""
    lines = [asked.text, *(f"  {name}: {_text(value)}" for name, value in values["shown"].items())]
    lines.append(f"question {asked.question_id} at {asked.node_name}, digest {asked.digest[:12]}")
    if values["schema"] is not None:
        lines.append(f"answer   {_text(values['schema'])}")
    if asked.deadline_at is not None:
        default = values["default"]
        after = "it counts as refused" if default is None else f"{_text(default)} stands for an answer"
        lines.append(f"until    {moment(asked.deadline_at)}, then {after}")
    for line in lines:
        errors.print(_visible(line), markup=False, soft_wrap=True)


def print_waits(run_id: str, asked: Sequence[QuestionRecord]) -> None:
    """Print what a run waits for, and how it is answered."""
    for one in asked:
        which = f" --question {one.question_id}" if len(asked) > 1 else ""
        value = " --answer JSON" if one.kind == "ask" else ""
        errors.print(
            f"[yellow]waiting[/yellow] at {escape(one.node_name)}: {escape(_visible(one.text))}", soft_wrap=True
        )
        errors.print(f"  flowledger approve {run_id}{which}{value}", markup=False, soft_wrap=True)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _visible(text: str) -> str:
    """Spell out characters that a terminal would obey and not show, since a model may have written them."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\u{ord(one):04x}" for one in text)
