"""The kinds of node, and kinds of a user's own, do what they say with what they are given."""

from typing import Any, Literal

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import StructuredTool, ToolException, tool
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import BaseModel

from engine.definition.guardrail import Action, GuardItem, Guardrail, Verdict
from engine.definition.node import Node, StepContext
from engine.definition.passage import Passage, Retrieved
from engine.definition.policies import Retry
from engine.definition.state import State
from engine.definition.tool import signature_of
from engine.errors import DefinitionError, ToolFailed
from engine.models.roles import Model
from engine.nodes.call_tool import CallTool
from engine.nodes.compute import Compute
from engine.nodes.generate import Generate
from engine.nodes.retrieve import Retrieve
from engine.nodes.validate import Validate
from engine.records import RunStatus
from engine.testing import ScriptedModel
from engine.usage import Price
from tests.flows import app_for, line, scripted


class Work(State):
    question: str
    numbers: list[int] = []
    passages: list[dict[str, Any]] = []
    answer: str = ""
    shape: dict[str, Any] | None = None
    colour: Literal["red", "green"] | None = None
    size: int = 0
    fine: bool = False
    reasons: list[str] = []


class Shape(BaseModel):
    """What a model is asked for."""

    colour: Literal["red", "green"]
    size: int


async def output_of(node: Node, given: dict[str, Any] | None = None, **models: Any) -> dict[str, Any]:
    async with app_for(line(("node", node), state=Work), **models) as app:
        result = await app.run("line", {"question": "q", **(given or {})})
        return result.raise_for_status().output


def generate(**fields: Any) -> Generate:
    return Generate(**({"model": "large", "prompt": "{question}", "into": "answer", "max_tokens": 50} | fields))


@pytest.mark.parametrize(
    "said",
    [
        {"colour": "red", "size": 3},
        '{"colour": "red", "size": 3}',
        'Here it is:\n```json\n{"colour": "red", "size": 3}\n```',
    ],
)
async def test_an_object_is_read_from_a_tool_call_or_from_text(said):
    node = generate(output=Shape, into={"colour": "colour", "size": "size"})
    role = Model(ScriptedModel(script=[said]), structured="prompt")
    output = await output_of(node, large=role)
    assert (output["colour"], output["size"]) == ("red", 3)


async def test_an_object_may_go_into_one_field_whole():
    role = Model(ScriptedModel(script=['{"colour": "green", "size": 1}']))
    assert (await output_of(generate(output=Shape, into="shape"), large=role))["shape"] == {
        "colour": "green",
        "size": 1,
    }


async def test_an_object_that_does_not_fit_is_asked_for_again_with_the_fault():
    model = ScriptedModel(script=['{"colour": "blue", "size": 1}', '{"colour": "red", "size": 1}'])
    output = await output_of(generate(output=Shape, into="shape"), large=model)
    assert output["shape"]["colour"] == "red"
    said = " ".join(str(message.content) for message in model.asked[1])
    assert "it does not fit Shape: colour: input should be 'red' or 'green'" in said


async def test_the_schema_is_told_to_a_model_that_calls_no_tools():
    model = ScriptedModel(script=['{"colour": "red", "size": 1}'])
    await output_of(generate(output=Shape, into="shape"), large=Model(model, structured="prompt"))
    assert '"enum": ["red", "green"]' in model.asked[0][-1].content


def add(numbers: list[int]) -> int:
    """Add."""
    return sum(numbers)


async def divide(size: int) -> dict[str, Any]:
    """Return several fields."""
    return {"size": size // 2, "answer": f"half of {size}"}


async def test_compute_calls_a_function_with_the_fields_it_names():
    assert (await output_of(Compute(function=add, into="size"), {"numbers": [1, 2]}))["size"] == 3
    output = await output_of(Compute(function=divide, into=["size", "answer"]), {"size": 8})
    assert (output["size"], output["answer"]) == (4, "half of 8")


async def test_compute_says_which_keys_are_missing():
    async with app_for(line(("node", Compute(function=divide, into=["size"])), state=Work)) as app:
        result = await app.run("line", {"question": "q"})
        assert "divide must return a dictionary with the keys size" in result.error.message


def long_enough(answer: str) -> bool | str:
    """Say what is wrong."""
    return len(answer) > 3 or "it is too short"


class NoShouting(Guardrail):
    """Minds capitals."""

    def check_text(self, text: str, item: GuardItem) -> Verdict:
        return Verdict(action=Action.BLOCK if text.isupper() else Action.ALLOW, reason="it shouts")


@pytest.mark.parametrize(
    ("answer", "fine", "reasons"),
    [("fine", True, []), ("no", False, ["it is too short"]), ("NO", False, ["it is too short", "it shouts"])],
)
async def test_validate_asks_functions_and_guardrails(answer, fine, reasons):
    node = Validate(check=[long_enough, NoShouting], of=["answer"], into="fine", reasons="reasons")
    output = await output_of(node, {"answer": answer})
    assert (output["fine"], output["reasons"]) == (fine, reasons)


@tool
def shout(text: str, times: int = 1) -> str:
    """Say it loudly."""
    return text.upper() * times


def reported(text: str) -> tuple[str, dict[str, int]]:
    """Answer with an artifact."""
    return f"seen {text}", {"length": len(text)}


with_artifact = StructuredTool.from_function(reported, name="reported", response_format="content_and_artifact")


async def test_a_langchain_tool_is_called_with_checked_arguments():
    node = CallTool(tool=shout, args={"text": "question"}, constants={"times": 2}, into="answer", effect="read")
    assert (await output_of(node))["answer"] == "QQ"


async def test_an_argument_that_does_not_fit_is_refused_before_the_call():
    with pytest.raises(ToolFailed, match="the arguments do not fit the tool 'shout': times: input should be a valid"):
        signature_of(shout).check({"text": "x", "times": "often"})
    with pytest.raises(ToolFailed, match="extra inputs are not permitted"):
        signature_of(add).check({"numbers": [], "more": 1})


def untyped(question, *, more: int = 0) -> str:
    """Leave a parameter without a type."""
    return question * more


def test_a_tool_needs_types_and_must_be_callable():
    with pytest.raises(DefinitionError, match="its parameter 'question' needs a type"):
        signature_of(untyped)
    with pytest.raises(DefinitionError, match="a LangChain tool or a function with typed parameters is expected"):
        signature_of("nothing")


class Fixed(BaseRetriever):
    """Finds the same two documents."""

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(page_content=f"about {query}", metadata={"title": "T", "source": "s", "page": 3})] * 2


fixed = Fixed()
vectors = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
vectors.add_texts(["one", "two", "three"])


async def typed(query: str, *, top_k: int) -> Retrieved:
    """Answer with what the engine has for it."""
    return Retrieved(passages=[Passage(id="1", text=query)], retriever_version="v7")


def plain(query: str, *, top_k: int) -> list[Any]:
    """Answer with texts and dictionaries, and not async."""
    return ["a text", {"id": "2", "text": "a dictionary"}]


@pytest.mark.parametrize(
    ("retriever", "texts"),
    [
        ("tests.unit.nodes.test_nodes:fixed", ["about q"]),
        (typed, ["q"]),
        (plain, ["a text", "a dictionary"]),
    ],
)
async def test_any_retriever_gives_passages(retriever, texts):
    output = await output_of(
        Retrieve(retriever=retriever, query="question", into="passages", top_k=1 if texts == ["about q"] else 6)
    )
    assert [passage["text"] for passage in output["passages"]] == texts
    assert all(set(passage) == {"id", "text", "title", "source", "score", "meta"} for passage in output["passages"])


async def test_a_vector_store_is_a_retriever_too():
    node = Retrieve(retriever="tests.unit.nodes.test_nodes:vectors", query="question", into="passages", top_k=2)
    assert len((await output_of(node))["passages"]) == 2


async def test_the_version_of_a_retriever_is_kept_with_its_call():
    async with app_for(line(("find", Retrieve(retriever=typed, query="question", into="passages")), state=Work)) as app:
        result = await app.run("line", {"question": "q"})
        (call,) = await app.ledger.calls(result.run_id)
        assert call.retriever_version == "v7"


def no_passages(query: str, *, top_k: int) -> Any:
    """Answer with nonsense."""
    return [3] if query == "q" else "nothing"


@pytest.mark.parametrize(("question", "said"), [("q", "returned what is not a passage"), ("p", "a list of passages")])
async def test_a_retriever_that_returns_nonsense_is_named(question, said):
    node = Retrieve(retriever=no_passages, query="question", into="passages", retry=Retry(attempts=1))
    async with app_for(line(("find", node), state=Work)) as app:
        result = await app.run("line", {"question": question})
        assert result.status is RunStatus.FAILED
        assert said in result.error.message


class Echo(Node):
    """A kind of a user's own: asks the model twice, and calls a tool."""

    into: str

    @property
    def reads(self) -> tuple[str, ...]:
        return ("question",)

    @property
    def writes(self) -> dict[str, Any]:
        return {self.into: str}

    @property
    def roles(self) -> tuple[str, ...]:
        return ("large",)

    @property
    def calls_per_visit(self) -> int:
        return 2

    async def run(self, inputs: Any, ctx: StepContext) -> dict[str, Any]:
        first = await ctx.generate("large", [HumanMessage(inputs["question"])], max_tokens=50)
        second = await ctx.generate("large", [HumanMessage(first.text)], max_tokens=50)
        return {self.into: await ctx.call_tool(shout, {"text": second.text}, effect="read")}


async def test_a_node_of_a_users_own_is_one_class_and_is_metered_like_any():
    async with app_for(line(("echo", Echo(into="answer")), state=Work), large=scripted("one", "two")) as app:
        result = await app.run("line", {"question": "q"})
        assert result.output["answer"] == "TWO"
        calls = await app.ledger.calls(result.run_id)
        assert [(call.operation_name, call.ordinal) for call in calls] == [
            ("chat", 1),
            ("chat", 2),
            ("execute_tool", 3),
        ]
        assert result.cost_usd > 0


class Twice(Node):
    """Asks the same thing twice in one step."""

    async def run(self, inputs: Any, ctx: StepContext) -> dict[str, Any]:
        assert ctx.node == "node"
        assert 0 <= ctx.random() < 1
        assert ctx.random() != ctx.random()
        assert ctx.now().tzinfo is not None
        return {}


async def test_a_node_sees_its_run_its_name_and_the_clock():
    await output_of(Twice())


async def test_an_answer_that_ends_for_its_content_falls_back():
    filtered = AIMessage(content="", response_metadata={"finish_reason": "content_filter"})
    free = Price(input="0", output="0")
    role = Model(ScriptedModel(script=[filtered]), price=free, backup=Model(ScriptedModel(script=["fine"]), price=free))
    assert (await output_of(generate(), large=role))["answer"] == "fine"


SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def answers_with_status(text: str) -> Any:
    """Answer as an MCP tool does: an error is ordinary text."""
    if text == "q":
        raise ToolException("the server says no")
    return f"seen {text}", None


remote = StructuredTool.from_function(
    answers_with_status,
    name="remote",
    description="A tool whose parameters are JSON Schema.",
    args_schema=SCHEMA,
    response_format="content_and_artifact",
    handle_tool_error=True,
)


async def test_a_tool_with_a_json_schema_is_checked_and_its_error_is_one():
    node = CallTool(tool="tests.unit.nodes.test_nodes:remote", args={"text": "question"}, into="answer")
    assert (await output_of(node, {"question": "p"}))["answer"] == "seen p"
    async with app_for(line(("node", node), state=Work)) as app:
        result = await app.run("line", {"question": "q"})
        assert "the tool 'remote' answered with an error: the server says no" in result.error.message
    with pytest.raises(ToolFailed, match="the arguments do not fit the tool 'remote'"):
        signature_of(remote).check({"text": 3})


async def test_an_artifact_is_kept_beside_the_content():
    node = CallTool(tool="tests.unit.nodes.test_nodes:with_artifact", args={"text": "question"}, into="shape")
    assert (await output_of(node))["shape"] == {"content": "seen q", "artifact": {"length": 1}}
