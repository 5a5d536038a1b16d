"""How the command line shows a run while it runs: steps on standard error, text on standard output."""

from rich.markup import escape

from engine.cli.render import console, errors, shown_status
from engine.runtime.events import Event, QuestionAsked, StepFinished, StepStarted, TextDelta, TextReset


class Listening:
    """Shows events as they come, steps inside steps indented.

    One text is written at a time: while it is, what else happens is held back, and another text follows it.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._depths: dict[str, int] = {}
        self._writing: str | None = None
        self._held: list[Event] = []

    def has_shown(self, value: object) -> bool:
        """Say whether a text has been shown already."""
        return value in self._texts.values()

    def __call__(self, event: Event) -> None:
        """Show one event, now or once the text that is being written has ended."""
        if self._writing is not None and getattr(event, "step_id", None) != self._writing:
            self._held.append(event)
            return
        self._show(event)
        if self._writing is None and self._held:
            held, self._held = self._held, []
            for one in held:
                self(one)

    def _show(self, event: Event) -> None:
        if isinstance(event, TextDelta):
            self._writing = event.step_id
            self._texts[event.step_id] = self._texts.get(event.step_id, "") + event.text
            console.print(event.text, end="", markup=False, soft_wrap=True)
        elif isinstance(event, TextReset):
            self._end_text()
            self._texts.pop(event.step_id, None)
            errors.print("[dim]  the answer broke off and starts again[/dim]")
        elif isinstance(event, StepStarted):
            depth = self._depths[event.step_id] = self._depths.get(event.parent or "", 0) + 1
            errors.print(f"[dim]{'  ' * depth}{escape(_name(event))}[/dim]")
        elif isinstance(event, StepFinished):
            self._end_text()
            if event.status != "ok":
                depth = self._depths.get(event.step_id, 1)
                errors.print(f"{'  ' * depth}{escape(_name(event))} {shown_status(event.status)}")
        elif isinstance(event, QuestionAsked):
            errors.print(f"{'  ' * (self._depths.get(event.step_id, 1) + 1)}{escape(event.text)}")

    def _end_text(self) -> None:
        if self._writing is not None:
            console.print()
        self._writing = None


def _name(event: StepStarted | StepFinished) -> str:
    """Give the last part of a step's name, since those before it stand above, with its item and visit."""
    item = "" if event.item is None else f" {event.item + 1}"
    visit = f" (visit {event.visit})" if event.visit > 1 else ""
    return f"{event.node.rpartition('/')[2]}{item}{visit}"
