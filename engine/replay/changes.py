"""What is to be other than it was in a replay: models of roles, prompts, and any place in the definition."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from engine.definition.prompt import Prompt
from engine.definition.workflow import Workflow
from engine.errors import InputError, why_not

_HOW = (
    "write model.ROLE=SPEC, prompt.NODE=TEXT or @FILE, node.NODE.FIELD=VALUE, guardrail.NAME.FIELD=VALUE, "
    "budget.FIELD=VALUE or stub.TOOL=JSON"
)
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes to a workflow and to the models that play its roles.

    Attributes:
        settings: how they were said, as in "prompt.draft=@better.md"; texts of files stand in their place.
        models: what plays which role.
        places: what stands where in the definition.
        guardrails: what stands in which field of every guardrail of a name.
        stubs: what is taken for the answer of a tool that acts once and is not called.
    """

    settings: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    places: Mapping[Place, Any] = field(default_factory=dict[Place, Any])
    guardrails: Mapping[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])
    stubs: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, settings: Sequence[str]) -> "Changes":
        """Read settings as `--set` takes them.

        Raises:
            InputError: one is none.
        """
        models: dict[str, str] = {}
        places: dict[Place, Any] = {}
        guardrails: dict[tuple[str, str], Any] = {}
        stubs: dict[str, Any] = {}
        said: list[str] = []
        for setting in settings:
            name, equals, text = setting.partition("=")
            match name.split("."):
                case ["model", role] if equals and role:
                    models[role] = text
                case ["prompt", node] if equals:
                    read = _read(text)
                    places |= _prompt(_place_of(node), read)
                    text = f"@{read}" if read.startswith("@") else read  # so that it is no file when it is read again
                case ["node", node, *path] if equals and path:
                    places[*_place_of(node), *path] = _json(text)
                case ["guardrail", guardrail, where] if equals:
                    guardrails[guardrail, where] = _json(text)
                case ["stub", tool] if equals and tool:
                    stubs[tool] = _json(text)
                case ["budget", where] if equals:
                    places["budget", where] = _json(text)
                case _:
                    raise InputError(f"--set {setting!r}: {_HOW}")
            said.append(f"{name}={text}")
        return cls(tuple(said), models, places, guardrails, stubs)

    def applied_to(self, workflow: Workflow) -> Workflow:
        """Give a workflow with these changes.

        Raises:
            InputError: there is no such role, node or guardrail.
            DefinitionError: the changed workflow is not valid.
        """
        if strange := self.models.keys() - workflow.roles:
            known = ", ".join(sorted(workflow.roles)) or "none"
            raise InputError(f"--set names the role {min(strange)!r}; those of {workflow.name!r} are {known}")
        if not self.places and not self.guardrails:
            return workflow
        plain = json.loads(workflow.to_json())
        for place, value in self.places.items():
            _put(plain, place, value, workflow)
        for (name, where), value in self.guardrails.items():
            found = [guardrail for kind, guardrail in _guardrails(plain) if kind == name]
            if not found:
                known = ", ".join(sorted({kind for kind, _ in _guardrails(plain)})) or "none"
                raise InputError(f"--set names the guardrail {name!r}; those of {workflow.name!r} are {known}")
            for guardrail in found:
                guardrail[where] = value
        return type(workflow).from_json(json.dumps(plain))


def _place_of(node: str) -> Place:
    """Give where a node stands in a definition; "sub/draft" is inside a sub-workflow."""
    first, *inner = node.split("/")
    return ("nodes", first, *(part for name in inner for part in ("workflow", "nodes", name)))


def _prompt(node: Place, text: str) -> dict[Place, Any]:
    """Give what a text changes in a prompt: one without parts is what is said as the user."""
    prompt = Prompt.parse(text)
    parts = {"text": prompt.text} | ({"system": prompt.system} if prompt.system else {})
    return {(*node, "prompt", name): part for name, part in parts.items()}


def _put(plain: dict[str, Any], place: Place, value: Any, workflow: Workflow) -> None:
    at = plain
    for depth, name in enumerate(place[:-1]):
        if depth and place[depth - 1] == "nodes" and name not in at:
            raise InputError(f"--set names the node {name!r}; those of {workflow.name!r} are {', '.join(at)}")
        inner = at.setdefault(name, {})
        if isinstance(inner, str) and place[depth + 1] == "text":  # a prompt may stand there as its text alone
            inner = at[name] = {"text": inner}
        if not isinstance(inner, dict):
            raise InputError(f"--set: {'.'.join(place[: depth + 1])} of {workflow.name!r} has no fields")
        at = cast("dict[str, Any]", inner)
    at[place[-1]] = value


def _guardrails(plain: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every guardrail of a definition in JSON, by the name of its class."""
    if isinstance(plain, list):
        for inner in cast("list[Any]", plain):
            yield from _guardrails(inner)
    elif isinstance(plain, dict):
        fields = cast("dict[str, Any]", plain)
        for name, inner in fields.items():
            if name in ("guard_input", "guard_output"):
                for guardrail in cast("list[dict[str, Any]]", inner):
                    yield str(guardrail["kind"]).rpartition(":")[2], guardrail
            else:
                yield from _guardrails(inner)


def _read(given: str) -> str:
    if not given.startswith("@"):
        return given
    if given.startswith("@@"):
        return given[1:]
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--set: the file {given[1:]} cannot be read: {why_not(error)}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
