"""ToolPolicy: only listed tools are called, with arguments that may be, and a person is asked where that is risky."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, cast
from urllib.parse import urlsplit

import jsonschema_rs
from pydantic import BeforeValidator, Field

from engine import Action, DefinitionError, GuardItem, Guardrail, Stage, Verdict
from engine.definition.by_path import Frozen, Many
from guardrails.paths import is_beneath
from guardrails.patterns import Pattern, encodable

_LONGEST_SHOWN = 60


class ArgumentRule(Frozen):
    """What an argument may be; one that is a list or an object, each value in it."""

    least: float | None = None
    """The least number."""
    most: float | None = None
    """The greatest number."""
    one_of: Many[Any] | None = None
    """The only values."""
    pattern: str | None = None
    """What a text must be as a whole, on RE2."""
    longest: int | None = Field(default=None, ge=0)
    """The most characters of a text, or items of a list."""
    hosts: Many[str] | None = None
    """It is a link by http or https to one of these hosts, or to one beneath: "acme.com" allows "www.acme.com"."""
    beneath: Many[str] | None = None
    """It is a path that stays in one of these folders, as it is written; a relative one is taken from them."""
    required: bool = False
    """Whether it must be given."""

    def model_post_init(self, context: Any, /) -> None:
        """Check the pattern and the range."""
        del context
        try:
            _ = None if self.pattern is None else _compiled(self.pattern)
        except Exception as error:
            raise DefinitionError("ArgumentRule", [f"pattern {self.pattern!r} is none for RE2: {error}"]) from error
        if self.least is not None and self.most is not None and self.least > self.most:
            raise DefinitionError("ArgumentRule", [f"least {self.least:g} is more than most {self.most:g}"])

    def fault(self, value: Any) -> str | None:
        """Say why it may not be this value; None where it may."""
        if (
            self.longest is not None
            and isinstance(value, str | list | tuple)
            and len(cast("Any", value)) > self.longest
        ):
            return f"is longer than {self.longest:,}"
        return next((fault for one in _values_in(value) if (fault := self._one_fault(one)) is not None), None)

    def _one_fault(self, value: Any) -> str | None:
        if self.one_of is not None and not any(type(value) is type(one) and value == one for one in self.one_of):
            return f"is not one of {', '.join(map(str, self.one_of))}"
        if (self.least, self.most) != (None, None) and (fault := self._range_fault(value)) is not None:
            return fault
        if self.pattern is not None and not (isinstance(value, str) and _is_of_form(value, self.pattern)):
            return f"is not of the form {self.pattern}"
        if self.hosts is not None and not (isinstance(value, str) and _is_at(value, self.hosts)):
            return f"is not a link to {' or '.join(self.hosts) or 'anywhere'}"
        if self.beneath is not None and not (isinstance(value, str) and is_beneath(value, self.beneath)):
            return f"is not a path beneath {' or '.join(self.beneath) or 'anything'}"
        return None

    def _range_fault(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is not a number"
        if self.least is not None and not value >= self.least:
            return f"is less than {self.least:g}"
        return f"is more than {self.most:g}" if self.most is not None and not value <= self.most else None


class ToolRule(Frozen):
    """What may be done with a tool that may be called."""

    risk: Literal["low", "medium", "high", "forbidden"] = "low"
    """`low` goes on; `medium` asks a person where the run knows something that neither the user nor the author said,
    since that may be whose wish it is; `high` always asks; `forbidden` is blocked."""
    arguments: Mapping[str, ArgumentRule] = Field(default_factory=dict)
    """What its arguments may be, by parameter; others are only checked against the tool's own types."""
    document: Mapping[str, Any] | None = None
    """A JSON Schema for the arguments as a whole, besides the tool's own."""

    def model_post_init(self, context: Any, /) -> None:
        """Check the schema itself."""
        del context
        try:
            _ = None if self.document is None else _validator(json.dumps(self.document))
        except (TypeError, ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            raise DefinitionError("ToolRule", [f"document is not a JSON Schema: {error}"]) from error

    def fault(self, arguments: Mapping[str, Any]) -> str | None:
        """Say why it may not be called with these arguments; None where it may."""
        for name, rule in self.arguments.items():
            if name not in arguments:
                if rule.required:
                    return f"the argument {name!r} is missing"
            elif (fault := rule.fault(arguments[name])) is not None:
                return f"the argument {name!r} {fault}"
        if self.document is None:
            return None
        error = next(iter(_validator(json.dumps(self.document)).iter_errors(dict(arguments))), None)
        return None if error is None else f"the arguments do not fit: {error.message}"


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern:
    return Pattern(pattern)


def _is_of_form(text: str, pattern: str) -> bool:
    return _compiled(pattern).is_all_of(encodable(text))


@lru_cache(maxsize=256)
def _validator(document: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(document), validate_formats=True)


def _tools(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("give a list of names, or names with a ToolRule each")
    return {name: ToolRule() for name in cast("Sequence[str]", value)} if type(value) in {list, tuple} else value


class ToolPolicy(Guardrail):
    """Blocks a call of a tool that is not listed, or with arguments that may not be; asks a person by the tool's risk.

    The model need not be trusted for this: names, numbers, forms, hosts and paths are compared as they are. What it
    cannot see: whether a call that may be made is the one that the user wants (Provenance sees to that), where a host
    or a symbolic link leads on to, and what a text argument says.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    tools: Annotated[Mapping[str, ToolRule] | Sequence[str], BeforeValidator(_tools)]
    """What may be called: names, or names with what may be done with each."""
    action: Literal["block", "require_approval", "flag"] = "block"
    """What is done about a tool that is not listed, or arguments that may not be."""

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Look the tool up, then its arguments, then its risk."""
        if item.tool is None or item.stage is Stage.TOOL_OUTPUT:
            return []
        tool = cast("Mapping[str, ToolRule]", self.tools).get(item.tool)
        if tool is None:
            allowed = ", ".join(self.tools) or "none"
            reason = f"the tool {item.tool!r} is not on the list of allowed tools ({allowed})"
            return [(item.path, Verdict(action=Action(self.action), reason=reason))]
        if tool.risk == "forbidden":
            return [(item.path, Verdict(action=Action.BLOCK, reason=f"the tool {item.tool!r} may not be called"))]
        arguments: Any = item.arguments if item.arguments is not None else item.value
        fault = tool.fault(cast("Mapping[str, Any]", arguments)) if isinstance(arguments, Mapping) else None
        if fault is not None:
            shown = fault if len(fault) <= 300 else f"{fault[:300]}..."
            return [(item.path, Verdict(action=Action(self.action), reason=f"{item.tool}: {shown}"))]
        why = _why_to_ask(tool, item)
        if why is None:
            return []
        return [(item.path, Verdict(action=Action.REQUIRE_APPROVAL, reason=f"the tool {item.tool!r} {why}"))]


def _why_to_ask(tool: ToolRule, item: GuardItem) -> str | None:
    if tool.risk == "high":
        return "acts with a high risk"
    heard = next((source.name for source in item.sources if not source.is_trusted), None)
    if tool.risk == "medium" and heard is not None:
        return f"acts after {heard[:_LONGEST_SHOWN]!r} was read, which is not the user's word"
    return None


def _values_in(value: Any) -> Iterator[Any]:
    """Give every value that is neither a list nor an object."""
    if isinstance(value, Mapping):
        for inner in cast("Mapping[str, Any]", value).values():
            yield from _values_in(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("Sequence[Any]", value):
            yield from _values_in(inner)
    else:
        yield value


def _is_at(link: str, hosts: Sequence[str]) -> bool:
    """Say whether a link leads to one of the hosts, whoever reads it: no login, backslash, space or odd sign in it."""
    if not link.isascii() or "\\" in link or any(not one.isprintable() or one.isspace() for one in link):
        return False
    try:
        parts = urlsplit(link)
        host, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not host:
        return False
    return any(host == one.casefold() or host.endswith(f".{one.casefold()}") for one in hosts)
