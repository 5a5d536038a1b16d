"""The journal: a call that had finished is answered from its record."""

from engine.definition.node import Node
from engine.testing import ScriptedModel
from tests.flows import app_for, line


class AsksAgain(Node):
    """Runs its call again as a resumed step would: from its beginning, with the same ordinals."""

    @property
    def reads(self):
        return ("question",)

    @property
    def roles(self):
        return ("large",)

    async def run(self, inputs, ctx):
        from langchain_core.messages import HumanMessage

        step = ctx._step  # the test stands in for a resumed step
        texts = []
        for question in (inputs["question"], inputs["question"], "another"):
            step.calls = 0
            texts.append((await ctx.generate("large", [HumanMessage(question)], max_tokens=5)).text)
        assert texts == ["one", "one", "two"]
        return {}


async def test_a_finished_call_is_not_made_again_and_another_request_is():
    model = ScriptedModel(script=["one", "two"])
    async with app_for(line(("node", AsksAgain())), large=model) as app:
        result = await app.run("line", {"question": "q"})
        result.raise_for_status()
        assert result.calls == 2
    assert len(model.asked) == 2
