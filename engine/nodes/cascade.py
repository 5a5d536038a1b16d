"""Climbing a cascade: the cheapest role first, the next when its answer will not do."""

from collections.abc import Mapping
from typing import Any, Protocol

from engine.definition.node import Reply, StepContext, Update
from engine.errors import RunError
from engine.nodes.model_choice import Cascade

ESCALATION = "escalation"
"""What requests are made for that follow one whose answer would not do."""

_ASKED = "roles_asked"


class Ask(Protocol):
    """Asks a role, and gives what the node would write and the reply that says it."""

    async def __call__(self, role: str, *, stream: bool, purpose: str | None = None) -> tuple[Update, Reply]:
        """Ask.

        Raises:
            RunError: no answer of the right shape came.
        """
        ...


async def climb(cascade: Cascade, ask: Ask, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
    """Ask role after role until an answer passes the checks; the last one's is taken as it is.

    What is turned down behind the node is asked of the role after the one that said it.
    """
    asked: list[str] = ctx.kept.setdefault(_ASKED, [])
    last = len(cascade.roles) - 1
    first = min(len(asked), last)
    for place in range(first, last):
        asked.append(cascade.roles[place])
        try:
            update, reply = await ask(cascade.roles[place], stream=False, purpose=_purpose(place, first))
        except RunError as error:
            if not error.recoverable:
                raise
            continue
        if not await cascade.doubts(inputs, update, ctx):
            ctx.routed(asked, among=cascade.roles, usage=reply.usage)
            return update
    asked.append(cascade.roles[last])
    update, reply = await ask(cascade.roles[last], stream=True, purpose=_purpose(last, first))
    ctx.routed(asked, among=cascade.roles, usage=reply.usage)
    return update


def _purpose(place: int, first: int) -> str | None:
    return None if place == first else ESCALATION
