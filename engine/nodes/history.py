"""What a model hears of the conversation: the newest turns that fit, and a summary of those before them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from engine.definition.context_policy import SUMMARISE, History
from engine.definition.conversation import Turn
from engine.definition.node import Node, StepContext
from engine.definition.policies import Cache
from engine.definition.prompt import render
from engine.errors import BudgetExceeded
from engine.models.tokens import estimate_message
from engine.nodes.summarise import Summarise
from engine.nodes.trimming import newest

_EARLIER = "What was said earlier in this conversation, in short:\n"


@dataclass(frozen=True, slots=True)
class Heard:
    """The messages to put before the last one of a request, and what they leave out (JSON, empty if nothing)."""

    messages: Sequence[BaseMessage] = ()
    left_out: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class _Summary:
    """A summary, and the run of the last turn that it tells of; none at all if it is empty."""

    text: str = ""
    through: str = ""

    @property
    def messages(self) -> list[BaseMessage]:
        return [HumanMessage(_EARLIER + self.text)] if self.text else []


async def heard_by(node: Node, policy: History, max_input_tokens: int | None, ctx: StepContext) -> Heard:
    """Give what a node is to hear of the conversation that its run belongs to.

    A summary is made only when the turns since the last one no longer fit, and then leaves room for as many again, so
    that many runs share it. Where none can be made, the oldest turns are left out.

    Args:
        node: for its retries; the summary is a step inside it.
        policy: the limits.
        max_input_tokens: the most tokens of the request for a summary.
        ctx: the node's.
    """
    reach = policy.last if policy.summarise is None else 2 * policy.last + 1
    turns = await ctx.turns(reach, inside=None if policy.summarise is None else SUMMARISE)
    turns = [turn for turn in turns if turn.says not in (None, "") and turn.answers not in (None, "")]
    summary, fresh = _since_summary(turns)
    room = _room(policy, summary)
    if room is not None and room < 0:
        summary, fresh = _Summary(), turns
    kept = _newest(fresh, _room(policy, summary), policy.last)
    if policy.summarise is not None and len(kept) < len(fresh):
        keep = _to_keep(fresh, policy)
        made = await _summarised(node, policy, max_input_tokens, ctx, summary, fresh[: len(fresh) - len(keep)])
        if made is not None:
            summary, fresh = made, keep
            kept = _newest(fresh, _room(policy, summary), policy.last)
    left_out: dict[str, Any] = {}
    if len(kept) < len(fresh):
        left_out["turns"] = len(fresh) - len(kept)
    if summary.text:
        left_out["summarised_through"] = summary.through
    return Heard([*summary.messages, *(message for turn in kept for message in _messages(turn))], left_out)


def _since_summary(turns: Sequence[Turn]) -> tuple[_Summary, list[Turn]]:
    """Give the newest summary that one of the turns' runs made, and the turns that it does not tell of."""
    made = next((turn.wrote for turn in reversed(turns) if turn.wrote), None)
    if made is None:
        return _Summary(), list(turns)
    places = [number for number, turn in enumerate(turns) if turn.run_id == made["through"]]
    return _Summary(made["summary"], made["through"]), list(turns[places[0] + 1 :] if places else turns)


def _to_keep(fresh: Sequence[Turn], policy: History) -> list[Turn]:
    """Give the turns that a new summary leaves as they are: half of what fits, and the newest if it fits at all."""
    room = None if policy.max_tokens is None else policy.max_tokens - policy.summary_tokens
    half = None if room is None else room // 2
    return _newest(fresh, half, max(1, policy.last // 2)) or _newest(fresh, room, 1)


async def _summarised(
    node: Node, policy: History, max_input_tokens: int | None, ctx: StepContext, before: _Summary, turns: Sequence[Turn]
) -> _Summary | None:
    """Make a summary of turns and the summary before them; None if that comes to nothing."""
    if policy.summarise is None or not turns:
        return None
    step = Summarise(
        model=policy.summarise,
        max_tokens=policy.summary_tokens,
        max_input_tokens=max_input_tokens,
        retry=node.retry,
        breaker=node.breaker,
        call_seconds=node.call_seconds,
        cache=Cache(),  # the node may come here again in the same run
        fallback=ctx.node,  # it goes on without, also when it runs again: its request must be the same
    )
    inputs = {
        "summary": before.text,
        "turns": [{"says": turn.says, "answers": turn.answers} for turn in turns],
        "through": turns[-1].run_id,
    }
    try:
        made = await ctx.visit(SUMMARISE, step, inputs)
    except BudgetExceeded:
        return None
    if not made:
        return None
    summary = _Summary(made["summary"], made["through"])
    room = _room(policy, summary)
    return summary if room is None or room >= 0 else None


def _newest(turns: Sequence[Turn], max_tokens: int | None, most: int) -> list[Turn]:
    return newest(turns, lambda turn: _tokens(_messages(turn)), max_tokens=max_tokens, most=most)


def _room(policy: History, summary: _Summary) -> int | None:
    return None if policy.max_tokens is None else policy.max_tokens - _tokens(summary.messages)


def _messages(turn: Turn) -> list[BaseMessage]:
    return [HumanMessage(render(turn.says)), AIMessage(render(turn.answers))]


def _tokens(messages: Sequence[BaseMessage]) -> int:
    return sum(map(estimate_message, messages))
