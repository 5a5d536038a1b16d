"""Agent: a model with tools in a loop, until it answers or hands over."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import re2
from pydantic import Field

from engine.definition.by_path import Many
from engine.definition.context_policy import ToolResults
from engine.definition.fits import can_hold, show
from engine.definition.guardrail import AnyGuardrail
from engine.definition.node import Reply, StepContext, Update
from engine.definition.state import State, fields_of
from engine.definition.text_origin import Origins, TextOrigin
from engine.errors import AnswerRejected, BudgetExceeded
from engine.nodes.agent_offer import Ending, Offer
from engine.nodes.agent_sources import sources_before, sources_heard
from engine.nodes.agent_tool import AgentTool
from engine.nodes.agent_transcript import Transcript, messages_in
from engine.nodes.model_choice import Cascade, Switch
from engine.nodes.model_node import ModelNode, validated
from engine.nodes.relevance import with_shown_passages
from engine.nodes.trimming import fit_tool_results
from engine.usage import Usage

_NAME = re2.compile(r"[A-Za-z0-9_-]{1,48}")
_NO_ROUNDS = "You have no rounds left: call no more tools, and give your final answer now, from what you know."
_NO_BUDGET = "The budget is nearly used up: call no more tools, and give your final answer now, from what you know."
_AS_OBJECT = "Give that answer as an object."


class Agent(ModelNode):
    """Ask a model that may call tools, make the calls, tell it what came of them, and go on until it answers.

    Each request and each call is journaled and charged by itself: a visit that goes on after a crash is answered what
    it has heard already. What goes wrong with a call is told to the model. When its rounds or the budget run out, it is
    asked for its answer once more, without tools.
    """

    may_be_cached: ClassVar[bool] = False

    tools: Many[AgentTool] = ()
    """What the model may call."""
    max_rounds: int = Field(default=8, ge=1)
    """The most requests that may ask for tools; one more asks for the answer."""
    messages: str | None = None
    """A field with the conversation so far, a list of `{role, content}`; it stands between the system's part and the
    task, whose text may then be empty."""
    tool_results: ToolResults = ToolResults(each_tokens=4_000)
    """How much of what its tools answered it hears; the ledger has the whole."""
    transcript_into: str | None = None
    """A field for what was said in this visit, in the same form; one that appends makes a conversation."""
    handoffs: Mapping[str, str] = Field(default_factory=dict)
    """Whom the agent may hand over to, each with when it should; the model calls `hand_over_to_<name>`."""
    handoff_into: str | None = None
    """The field for the name of whom it handed over to, null if it answered; a Branch reads it."""
    at_once: int = Field(default=4, ge=1)
    """How many of the calls that one message asks for are in progress at the same time."""

    guard_calls: Many[AnyGuardrail] = ()
    """Guardrails for the arguments of every call that the model asks for; one that is blocked is told to the model."""
    guard_answers: Many[AnyGuardrail] = ()
    """Guardrails for what tools answer, before the model hears it."""

    @property
    def reads(self) -> tuple[str, ...]:
        """What the prompt and the passages need, and the conversation so far."""
        return tuple(dict.fromkeys([*super().reads, *([self.messages] if self.messages else [])]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer or its fields, and where asked for, what was said and whom it handed over to."""
        written: dict[str, Any] = {**super().writes}
        if self.transcript_into:
            written[self.transcript_into] = list[dict[str, Any]]
        if self.handoff_into:
            names: Any = Literal[tuple(self.handoffs)]
            written[self.handoff_into] = names | None if self.handoffs else None
        return written

    @property
    def calls_per_visit(self) -> int:
        """A request a round, and one for the answer; those of its tools cost no tokens."""
        return self.max_rounds + 1

    @property
    def _offer(self) -> Offer:
        return Offer(self.tools, self.shape, self.handoffs, self.at_once, self.guard_calls, self.guard_answers)

    def origins(self, held: Mapping[str, Origins]) -> Mapping[str, Origins]:
        """What it writes is a model's, and that of the tools that the model heard."""
        heard: Origins = frozenset({TextOrigin.TOOL} if self.tools else ())
        return {name: origins | heard for name, origins in super().origins(held).items()}

    def faults(self, state: type[State]) -> list[str]:
        """Check tools, hand-overs, the shape of the answer and the fields that they need."""
        faults, known = self._offer.faults, fields_of(state)
        if not (self.tools or self.handoffs):
            faults.append("it has neither tools nor handoffs: use Generate")
        if bool(self.handoffs) != (self.handoff_into is not None):
            faults.append("handoffs and handoff_into need each other: whom it may hand over to, and where that is said")
        faults += [
            f"{name!r} cannot be handed over to: use letters, digits, hyphens and underscores, at most 48"
            for name in self.handoffs
            if not _NAME.fullmatch(name)
        ]
        history = known.get(self.messages or "")
        if history is not None and not can_hold(history.annotation, list[dict[str, Any]]):
            held = show(history.annotation)
            faults.append(f"messages names {self.messages!r}, which holds {held} and not a list of messages")
        if isinstance(self.model, Cascade):
            faults.append("an agent acts while it is asked, so its model cannot be a Cascade: use a role or a Switch")
        faults += [*super().faults(state), *self.tool_results.faults()]
        if self.cache is not None and any(tool.effect != "read" or tool.approval for tool in self.tools):
            faults.append(
                "an agent whose tools act or need approval cannot have a cache: what they do would be left out"
            )
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Go round until the model answers; an answer that is turned down goes on from where it was."""
        transcript: Transcript | None = ctx.kept.get("transcript")
        if transcript is None:
            transcript = ctx.kept["transcript"] = await self._opening(inputs, ctx)
        transcript.hear(ctx.feedback)
        ending = await self._rounds(transcript, ctx)
        if isinstance(self.model, Switch):
            ctx.routed([transcript.role], among=self.model.asks, usage=transcript.usage)
        update: dict[str, Any] = {}
        if ending.handed_to is None:
            update |= self.update_of(ending.answer)
        if self.transcript_into:
            update[self.transcript_into] = transcript.to_json()
        if self.handoff_into:
            update[self.handoff_into] = ending.handed_to
        return update

    async def _opening(self, inputs: Mapping[str, Any], ctx: StepContext) -> Transcript:
        """Begin with the prompt, behind what is heard of the conversation."""
        shown, left_out = with_shown_passages(inputs, self.passages)
        heard = await self.hear(ctx)
        so_far = messages_in(self.messages, inputs[self.messages]) if self.messages else []
        role = self.model.role_for(inputs[self.model.on]) if isinstance(self.model, Switch) else str(self.model)
        transcript = Transcript.of(self.prompt.messages(shown), [*heard.messages, *so_far], role)
        transcript.left_out = {**left_out, **heard.left_out}
        if self.guard_calls:
            is_verbatim = self.history is not None and self.history.summarise is None
            transcript.sources = [
                *sources_before(ctx.sources, self.messages),
                *sources_heard(heard.messages, is_verbatim=is_verbatim),
            ]
        return transcript

    async def _rounds(self, transcript: Transcript, ctx: StepContext) -> Ending:
        offer = self._offer
        tools = offer.signatures
        while transcript.rounds < self.max_rounds:
            transcript.rounds += 1
            try:
                reply = await self._ask(transcript, ctx, tools=tools, leaving_another=True)
            except BudgetExceeded:
                return await self._last(_NO_BUDGET, transcript, ctx)
            if reply.message.tool_calls or reply.message.invalid_tool_calls:
                ending = await offer.carry_out(reply.message, transcript, ctx)
                if ending is not None:
                    return ending
            elif offer.output is None:
                return _answer_in(reply.text, transcript)
            else:
                transcript.answered(reply.text)
                return await self._last(_AS_OBJECT, transcript, ctx)
        return await self._last(_NO_ROUNDS, transcript, ctx)

    async def _last(self, why: str, transcript: Transcript, ctx: StepContext) -> Ending:
        """Ask for the answer, without tools."""
        transcript.tell(why)
        shape = self.shape
        reply = await self._ask(transcript, ctx, output=shape)
        if shape is None:
            return _answer_in(reply.text, transcript)
        transcript.answered(reply.text if reply.data is None else json.dumps(reply.data, ensure_ascii=False))
        return Ending(answer=validated(shape, reply.data, reply.text))

    async def _ask(self, transcript: Transcript, ctx: StepContext, **more: Any) -> Reply:
        messages, left_out = fit_tool_results(transcript.messages, self.tool_results)
        reply = await ctx.generate(
            transcript.role,
            messages,
            max_tokens=self.max_tokens,
            max_input_tokens=self.max_input_tokens,
            prompt=self.prompt,
            stream=self.stream and self.output is None,
            left_out={**transcript.left_out, **left_out},
            **more,
        )
        transcript.usage += reply.usage or Usage()
        return reply


def _answer_in(text: str, transcript: Transcript) -> Ending:
    if not text.strip():
        raise AnswerRejected("it is empty")
    transcript.answered(text)
    return Ending(answer=text)
