"""An app for tests of the command line: every workflow in it goes wrong, or right, in one way."""

from typing import Any, Literal

from pydantic import BaseModel

from engine.app import App
from engine.definition.context_policy import History
from engine.definition.conversation import Conversation
from engine.definition.policies import Budget, Retry
from engine.models.roles import Model
from engine.nodes.ask import Ask as Asks
from engine.nodes.call_tool import CallTool
from engine.nodes.generate import Generate
from engine.nodes.model_choice import Cascade, ModelChoice
from engine.nodes.subflow import Subflow
from engine.testing import ScriptedModel
from engine.usage import Price
from tests.flows import ask, line


class Choice(BaseModel):
    """What a model is asked to choose."""

    route: Literal["left", "right"]


def raises(question: str) -> str:
    """Raise."""
    raise RuntimeError("the disk is gone")


def returns_bytes(question: str) -> Any:
    """Return what JSON cannot hold."""
    return object()


def speaks(answer: str) -> bool:
    """Say whether there is an answer."""
    return bool(answer)


def draft(role: str | ModelChoice, **fields: object) -> Generate:
    return Generate(model=role, prompt="{question}", into="answer", max_tokens=50, retry=Retry(attempts=1), **fields)


def workflow(name: str, node: object, **fields: object):
    return line(("node", node), name=name, **fields)


def said(*script: object) -> Model:
    return Model(ScriptedModel(script=list(script)), price=Price(input="1", output="1"))


def send(question: str) -> str:
    """Send it."""
    return f"sent {question}"


def sends(**fields: object) -> CallTool:
    return CallTool(**({"tool": send, "args": {"question": "question"}, "into": "ticket", "approval": SEND} | fields))


SEND = "May this be sent?"
TALK = Conversation(says="question", answers="answer")
PASSED_ON = {"input": {"question": "question"}, "into": {"ticket": "ticket"}}

app = App(
    workflows=[
        ask(),
        workflow("say", draft("good")),
        workflow("climbs", draft(Cascade(roles=["good", "dear"], check=[speaks]))),
        workflow(
            "nonsense",
            Generate(model="nonsense", prompt="{question}", into={"route": "route"}, max_tokens=50, output=Choice),
        ),
        workflow("tool-raises", CallTool(tool=raises, args={"question": "question"}, into="ticket")),
        workflow(
            "tool-returns",
            CallTool(tool=returns_bytes, args={"question": "question"}, into="ticket", effect="idempotent"),
        ),
        workflow("poor", draft("good"), budget=Budget(tokens=5)),
        workflow("short", draft("good"), budget=Budget(usd="0.000001")),
        workflow("keyless", draft("keyless")),
        workflow("misspelt", draft("misspelt")),
        workflow("unreachable", draft("unreachable")),
        workflow("roleless", draft("nobody")),
        workflow("unpriced", draft("unpriced"), budget=Budget(usd="1")),
        workflow("sends", sends()),
        workflow("asks", Asks(text="Which way?", shows=["question"], choices=["left", "right"], into="route")),
        workflow("sends-each", Subflow(workflow=workflow("inner", sends()), **PASSED_ON)),
        workflow(
            "talks",
            Subflow(
                workflow=workflow("inner", draft("good", history=History(max_tokens=40)), conversation=TALK),
                input={"question": "question"},
                into={"answer": "answer"},
            ),
            conversation=TALK,
        ),
        line(("first", sends()), ("second", sends(into="answer")), name="sends-twice"),
    ],
    models={
        "large": said("good enough"),
        "good": said("a good answer"),
        "dear": Model(ScriptedModel(script=["so good"]), price=Price(input="10", output="10")),
        "nonsense": said("blah blah"),
        "keyless": "openai:gpt-5-mini",
        "misspelt": "gpt-5-mini",
        "unreachable": Model("openai:gpt-5-mini", base_url="http://127.0.0.1:9/v1"),
        "unpriced": ScriptedModel(script=["fine"]),
    },
)
