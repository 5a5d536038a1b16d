"""Generate: ask a model for a text or for an object of a declared shape."""

from collections.abc import Mapping
from typing import Any

from engine.definition.node import StepContext, Update
from engine.definition.state import State, fields_of
from engine.nodes.model_node import ModelNode, turned_down, validated
from engine.nodes.relevance import with_shown_passages


class Generate(ModelNode):
    """Ask the model that plays a role; write its text, or the object it gives.

    An answer that does not fit `output`, or that a guardrail turns down, is asked for again with the reason, up to
    `reasks` times.
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
        """Ask, and check the shape of the answer."""
        shown, left_out = with_shown_passages(inputs, self.passages)
        messages = self.prompt.messages(shown)
        heard = await self.hear(ctx)
        messages[-1:-1] = heard.messages
        messages += map(turned_down, ctx.feedback)
        shape = self.shape
        reply = await ctx.generate(
            self.model,
            messages,
            max_tokens=self.max_tokens,
            max_input_tokens=self.max_input_tokens,
            output=shape,
            stream=self.stream and shape is None,
            prompt=self.prompt,
            left_out={**left_out, **heard.left_out},
        )
        return self.update_of(reply.text if shape is None else validated(shape, reply.data, reply.text))
