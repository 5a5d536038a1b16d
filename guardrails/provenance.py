"""Provenance: whom an action reaches was said by the user, not by what the model has read."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from engine import Action, GuardItem, Guardrail, Source, Stage, TextOrigin, Verdict
from engine.definition.by_path import Many
from engine.definition.guardrail import AnyGuardrail, texts_in
from guardrails.identifiers import Text, domains_in, is_address, named_in, plain
from guardrails.injection import Injection
from guardrails.mail_providers import ANYBODYS_DOMAINS

_LONGEST_SHOWN = 80


class Provenance(Guardrail):
    """Asks a person before an action reaches somebody whom neither the user nor an allow-list names.

    An argument identifies if it is an e-mail address, link, account or telephone number as a whole, or if its parameter
    is listed in `identifying`. It must stand in a text of trusted origin: the user's request, a person's answer, the
    author's prompt; or be a colleague's address (`own_domain`). What stands only in a document, in a tool's answer or
    nowhere needs approval; if it traces to a text that `flagged_by` finds to be an injection, the call is blocked.
    Where the user named it and such a text does too, nobody can say whose wish it is, and a person is asked.

    The model need not be trusted for this. What it cannot see: an action without such an argument (a calendar entry,
    a deletion by number), and harm done to somebody whom the user named.
    """

    labels: ClassVar[Sequence[str] | None] = ()

    identifying: Many[str] = ()
    """Further parameters whose values identify, whatever they look like, as in "recipient" or "channel"."""
    allow: Many[str] = ()
    """What may be reached without the user's saying so: an address, a domain as "@acme.com", a host as "acme.com"."""
    allow_from: Many[str] = ()
    """Fields of the state with such lists: the contacts, the known payees."""
    own_domain: bool = True
    """Whether colleagues may be reached: who has an e-mail address at the domain of one that the author's prompt gives,
    unless a text that gives orders names them. Domains where anybody gets an address (gmail.com) are nobody's own; name
    yours with `allow` if yours is such. False where the author's prompt gives addresses of strangers."""
    reads_too: Many[str] = ()
    """Tools without a side effect that reach out all the same: fetching a page tells its host something."""
    flagged_by: Many[AnyGuardrail] = Field(default_factory=lambda: (Injection(),))
    """What finds that a text gives orders; a source that one of them does not allow is flagged."""
    action: Literal["require_approval", "block", "flag"] = "require_approval"
    """What is done about an argument that is not the user's."""
    flagged_action: Literal["block", "require_approval", "flag"] = "block"
    """What is done about one that traces to a flagged source."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields with allowed addresses."""
        return tuple(self.allow_from)

    async def check(self, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Trace every identifying argument."""
        if item.stage is not Stage.TOOL_ARGUMENTS or (item.effect == "read" and item.tool not in self.reads_too):
            return []
        asked = list(self._identifying(item.arguments if item.arguments is not None else item.value))
        if not asked:
            return []
        trusted = [Text(text) for source in item.sources if source.is_trusted for _, text in texts_in(source.value)]
        allowed = self._allowed(item)
        own = frozenset(_domains_of_author(item)) if self.own_domain else frozenset[str]()
        found: list[tuple[str, Verdict]] = []
        for path, value in asked:
            name = plain(value)
            if name and not _is_allowed(name, allowed):
                is_users = any(text.names(name) for text in trusted)
                is_known = is_users or _is_allowed(name, own)
                judged = await self._judge(value, name, item, is_users=is_users, is_known=is_known)
                found += [(path, one) for one in judged]
        return found

    def _identifying(self, arguments: Any) -> Iterator[tuple[str, str]]:
        for path, text in named_in(arguments):
            parameter = path.split("[")[0].split(".")[-1]
            if text and (is_address(text) or parameter in self.identifying):
                yield path, text

    async def _judge(self, value: str, name: str, item: GuardItem, *, is_users: bool, is_known: bool) -> list[Verdict]:
        shown = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."
        where = [source for source in item.sources if not source.is_trusted and _names(source, name)]
        flagged = [source for source in where if await self._is_flagged(source, name)]
        if flagged:
            by = f"{shown!r} stands in an answer of {flagged[0].name!r} that gives orders"
            if not is_users:
                return [Verdict(action=Action(self.flagged_action), reason=f"{by}, and not in the user's request")]
            return [Verdict(action=Action(self.action), reason=f"{by}, as well as in the user's request")]
        if is_known:
            return []
        by = f"it stands in {where[0].name!r}" if where else "nobody said it"
        return [Verdict(action=Action(self.action), reason=f"{shown!r} is not in the user's request: {by}")]

    async def _is_flagged(self, source: Source, name: str) -> bool:
        """Say whether a text of the source that names somebody gives orders."""
        for _, text in texts_in(source.value):
            if Text(text).names(name):
                item = GuardItem(stage=Stage.TOOL_OUTPUT, value=text)
                for guardrail in self.flagged_by:
                    if await guardrail.check(item):
                        return True
        return False

    def _allowed(self, item: GuardItem) -> frozenset[str]:
        fields = [item.state.get(name) for name in self.allow_from]
        listed = [text for field in fields for _, text in texts_in(field)]
        return frozenset(_rule(text) for text in (*self.allow, *listed))


def _domains_of_author(item: GuardItem) -> Iterator[str]:
    """Give the domains of the e-mail addresses that the author of the workflow wrote down."""
    for source in item.sources:
        if source.origins == frozenset({TextOrigin.SYSTEM}):
            for _, text in texts_in(source.value):
                yield from (f"@{domain}" for domain in domains_in(text) if domain not in ANYBODYS_DOMAINS)


def _rule(text: str) -> str:
    return text.casefold() if text.startswith("@") else plain(text)


def _is_allowed(name: str, allowed: frozenset[str]) -> bool:
    if name in allowed or (name.count("@") == 1 and f"@{name.rpartition('@')[2]}" in allowed):
        return True
    end = next((at for at, character in enumerate(name) if character in "/?#"), len(name))
    return "@" not in name and name[:end] in allowed


def _names(source: Source, name: str) -> bool:
    return any(Text(text).names(name) for _, text in texts_in(source.value))
