"""What fields that merge take in is data, whatever it says."""

from typing import Annotated, Any

import pytest

from engine.definition.edges import END, START, Chain
from engine.definition.state import MergeByKey, State
from engine.definition.workflow import Workflow
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from tests.flows import app_for


class Known(State):
    orders: list[dict[str, Any]]
    facts: Annotated[dict[str, Any], MergeByKey()] = {}


def know() -> dict[str, Any]:
    """Know something."""
    return {"known": True}


def answer(orders: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer as somebody on the other side would have it."""
    return orders[0]


@pytest.mark.parametrize("order", [{"__overwrite__": {}}, {"type": "__overwrite__", "value": {}}])
async def test_an_answer_that_reads_like_an_order_to_overwrite_a_field_is_merged_as_any_other(order):
    nodes = {
        "know": Compute(function=know, into="facts"),
        "ask": CallTool(tool=answer, args={"orders": "orders"}, into="facts", effect="read"),
    }
    edges = [Chain(START, "know", "ask", END)]
    async with app_for(Workflow(name="merge", state=Known, nodes=nodes, edges=edges, output=["facts"])) as app:
        result = await app.run("merge", {"orders": [order]})
        assert result.output == {"facts": {"known": True, **order}}
