"""Generate: ask a model for a text or for an object of a declared shape."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from langchain_core.messages import BaseMessage

from engine.definition.node import Reply, StepContext, Update
from engine.definition.state import State, fields_of
from engine.errors import ContextTooLong
from engine.nodes.cascade import climb
from engine.nodes.history import Heard
from engine.nodes.model_choice import Cascade, Switch
from engine.nodes.model_node import ModelNode, turned_down, validated
from engine.nodes.relevance import with_shown_passages
from engine.nodes.shortening import shorter


class Generate(ModelNode):
    """Ask the model that plays a role; write its text, or the object it gives.

    An answer that does not fit `output`, or that a guardrail turns down, is asked for again with the reason, up to
    `reasks` times. A request that is too long for the model is made shorter: it hears fewer passages and turns. Only
    then is the next model of the role asked, with the whole.
    """

    @property
    def calls_per_visit(self) -> int:
        """One request; asking again is counted by `reasks`."""
        return 1

    def faults(self, state: type[State]) -> list[str]:
        """Check the placeholders, the shape of the output and where it goes."""
        known = fields_of(state)
        faults = [
            f"its prompt {self.prompt.name!r} names {{{name}}}, which is not a field of {state.__name__}"
            for name in self.prompt.placeholders
            if name not in known
        ]
        return faults + super().faults(state)

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Choose the model, ask, and check the shape of the answer."""
        heard = await self.hear(ctx)

        async def ask(role: str, *, stream: bool, purpose: str | None = None) -> tuple[Update, Reply]:
            reply = await self._asked(role, inputs, heard, ctx, stream=stream, purpose=purpose)
            shape = self.shape
            return self.update_of(reply.text if shape is None else validated(shape, reply.data, reply.text)), reply

        if isinstance(self.model, Cascade):
            return await climb(self.model, ask, inputs, ctx)
        if not isinstance(self.model, Switch):
            return (await ask(str(self.model), stream=True))[0]
        role = self.model.role_for(inputs[self.model.on])
        update, reply = await ask(role, stream=True)
        ctx.routed([role], among=self.model.asks, usage=reply.usage)
        return update

    async def _asked(self, role: str, inputs: Mapping[str, Any], heard: Heard, ctx: StepContext, **more: Any) -> Reply:
        """Ask with all that there is to say; where that is too long with ever less, then who can read more."""
        try:
            return await self._ask(role, inputs, heard, ctx, falls_back_when_too_long=False, **more)
        except ContextTooLong:
            for fewer, newer in shorter(inputs, self.prompt.placeholders, heard.messages):
                less = Heard(newer, {**heard.left_out, "shortened": _difference(inputs, fewer, heard.messages, newer)})
                with suppress(ContextTooLong):
                    reply = await self._ask(role, fewer, less, ctx, falls_back_when_too_long=False, **more)
                    ctx.note("context shortened")
                    return reply
        return await self._ask(role, inputs, heard, ctx, skip_first=True, **more)

    async def _ask(
        self, role: str, inputs: Mapping[str, Any], heard: Heard, ctx: StepContext, *, stream: bool, **more: Any
    ) -> Reply:
        shown, left_out = with_shown_passages(inputs, self.passages)
        messages = self.prompt.messages(shown)
        messages[-1:-1] = heard.messages
        messages += map(turned_down, ctx.feedback)
        shape = self.shape
        return await ctx.generate(
            role,
            messages,
            max_tokens=self.max_tokens,
            max_input_tokens=self.max_input_tokens,
            output=shape,
            stream=stream and self.stream and shape is None,
            prompt=self.prompt,
            left_out={**left_out, **heard.left_out},
            **more,
        )


def _difference(
    inputs: Mapping[str, Any], fewer: Mapping[str, Any], heard: Sequence[BaseMessage], newer: Sequence[BaseMessage]
) -> Mapping[str, int]:
    """Say how many items of each field, and messages of the conversation, a shorter request leaves out."""
    gone = {name: len(inputs[name]) - len(value) for name, value in fewer.items() if value is not inputs[name]}
    return gone | ({"messages": len(heard) - len(newer)} if len(newer) < len(heard) else {})
