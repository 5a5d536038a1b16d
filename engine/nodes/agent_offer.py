"""What an agent offers to its model: tools, hand-overs to others, and a way to give an object as its answer."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from pydantic import BaseModel

from engine.definition.guardrail import Guardrail
from engine.definition.node import StepContext
from engine.definition.tool import ToolSignature, signature_of_model
from engine.errors import AnswerRejected, BreakerOpen, CallError, GuardrailBlocked, Refused
from engine.nodes.agent_tool import AgentTool
from engine.nodes.agent_transcript import Transcript, answer_to, readable
from engine.nodes.model_node import validated
from engine.nodes.side_by_side import side_by_side

HAND_OVER = "hand_over_to_"
_LONGEST_FAULT = 500  # characters that a model is told of what went wrong


class HandOver(BaseModel):
    """Nothing needs to be said with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ends an agent's work: an answer, or the name of whom it hands over to."""

    answer: Any = None
    handed_to: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What the model may ask for, and what is done when it does.

    Attributes:
        tools: what may be called.
        output: the shape of an answer, which is given by calling a tool named after it.
        handoffs: whom the agent may hand over to, each with when it should.
        at_once: how many calls are in progress at the same time.
        guard_calls: guardrails for the arguments of each call.
        guard_answers: guardrails for what is answered.
    """

    tools: Sequence[AgentTool]
    output: type[BaseModel] | None
    handoffs: Mapping[str, str]
    at_once: int
    guard_calls: Sequence[Guardrail] = ()
    guard_answers: Sequence[Guardrail] = ()

    @property
    def signatures(self) -> list[ToolSignature]:
        """All of it as tools, the way a model is told."""
        signatures = [tool.signature for tool in self.tools]
        signatures += [signature_of_model(HandOver, f"{HAND_OVER}{name}", when) for name, when in self.handoffs.items()]
        if (shape := self.output) is not None:
            described = f"Give your final answer with this. {shape.__doc__ or ''}".strip()
            signatures.append(signature_of_model(shape, shape.__name__, described))
        return signatures

    @property
    def faults(self) -> list[str]:
        """What is wrong with it, a sentence each."""
        faults = [fault for tool in self.tools for fault in tool.faults]
        names = Counter(signature.name for signature in self.signatures)
        faults += [
            f"{times} of its tools, hand-overs and output are called {name!r}: give each a name of its own"
            for name, times in names.items()
            if times > 1
        ]
        return faults

    async def carry_out(self, message: AIMessage, transcript: Transcript, ctx: StepContext) -> Ending | None:
        """Make the calls that a message asks for, several at once, and note it with an answer to each.

        An answer or a hand-over beside other calls counts once those have succeeded, since it was made without
        knowing what would come of them.
        """
        message, unreadable = readable(message)
        ends = {*(f"{HAND_OVER}{name}" for name in self.handoffs), self.output.__name__ if self.output else None}
        others = [call for call in message.tool_calls if call["id"] in unreadable or call["name"] not in ends]

        async def one(_: int, call: Mapping[str, Any]) -> ToolMessage:
            if (fault := unreadable.get(call["id"])) is not None:
                return answer_to(call, bounded(fault), failed=True)
            return await self._call(call, transcript, ctx)

        told = {answer.tool_call_id: answer for answer in await side_by_side(one, others, at_once=self.at_once)}
        ending: Ending | None = None
        may_end = all(answer.status == "success" for answer in told.values())
        for call in message.tool_calls:
            if str(call["id"]) not in told:
                said, found = self._end(call, may_end=may_end and ending is None)
                told[said.tool_call_id], ending = said, ending or found
        transcript.messages += [message, *(told[str(call["id"])] for call in message.tool_calls)]
        return ending

    def _end(self, call: Mapping[str, Any], *, may_end: bool) -> tuple[ToolMessage, Ending | None]:
        name = str(call["name"])
        if not may_end:
            return answer_to(call, "Not taken: look at what came of the calls beside it first.", failed=True), None
        if name.startswith(HAND_OVER) and (to := name.removeprefix(HAND_OVER)) in self.handoffs:
            return answer_to(call, "Handed over."), Ending(handed_to=to)
        assert self.output is not None  # noqa: S101 - what ends the work is a hand-over or the output
        try:
            answer = validated(self.output, call["args"], "")
        except AnswerRejected as error:
            return answer_to(call, bounded(str(error)), failed=True), None
        return answer_to(call, "Taken."), Ending(answer=answer)

    async def _call(self, call: Mapping[str, Any], transcript: Transcript, ctx: StepContext) -> ToolMessage:
        """Make one call, if its arguments fit, it is not one too many, and a person who is asked agrees."""
        name = str(call["name"])
        tool = next((tool for tool in self.tools if tool.name == name), None)
        if tool is None:
            known = ", ".join(signature.name for signature in self.signatures)
            return answer_to(call, bounded(f"there is no tool {name!r}; there are {known}"), failed=True)
        try:
            tool.signature.check(call["args"])
            if tool.max_calls is not None and transcript.made[name] >= tool.max_calls:
                return answer_to(call, f"{name} has been called as often as it may be: go on without it", failed=True)
            transcript.made[name] += 1
            answer = await ctx.call_tool(
                tool.tool,
                call["args"],
                effect=tool.effect,
                probe=tool.probe,
                approval=tool.asks(ctx.node),
                wait_seconds=tool.wait_seconds,
                guard_arguments=self.guard_calls,
                guard_answer=self.guard_answers,
                sources=transcript.known if self.guard_calls else None,
                restores=tool.restores,
            )
        except (CallError, BreakerOpen, GuardrailBlocked, Refused) as error:
            return answer_to(call, bounded(str(error)), failed=True)
        is_text = isinstance(answer, str) and answer.strip()
        return answer_to(call, answer if is_text else json.dumps(answer, ensure_ascii=False))


def bounded(text: str) -> str:
    """Cut what a model is told of a fault to 500 characters."""
    return text if len(text) <= _LONGEST_FAULT else f"{text[: _LONGEST_FAULT - 4]} ..."
