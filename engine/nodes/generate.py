"""Generate: ask a model for a text or for an object of a declared shape."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from engine.definition.by_path import Code, CodePath, faults_of
from engine.definition.call_bound import CallBound
from engine.definition.context_policy import History, Passages
from engine.definition.guardrail import Stage
from engine.definition.node import Node, StepContext, Update
from engine.definition.prompt import Prompt
from engine.definition.state import State, fields_of
from engine.errors import AnswerRejected
from engine.nodes.history import Heard, heard_by
from engine.nodes.relevance import with_shown_passages


def _prompt(value: Any) -> Any:
    return Prompt(text=value) if isinstance(value, str) else value


AnyPrompt = Annotated[Prompt, BeforeValidator(_prompt)]
"""A field for a prompt, or for its text."""


class Generate(Node):
    """Ask the model that plays a role; write its text, or the object it gives.

    An answer that does not fit `output`, or that a guardrail turns down, is asked for again with the reason, up to
    `reasks` times.
    """

    output_stage: ClassVar[Stage] = Stage.MODEL_OUTPUT

    model: str
    """The role, not the vendor's name: the app says which model plays it."""
    prompt: AnyPrompt
    """What is asked; its placeholders are the fields that the node reads."""
    into: str | Mapping[str, str]
    """The field for the answer; or, with `output`, the object's fields, each with the state field it goes to."""
    max_tokens: int = Field(ge=1)
    """The most tokens of one answer."""
    output: Code | None = None
    """A pydantic model: the answer must be an object of this shape."""
    max_input_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of one request; a longer one is refused before it is sent."""
    history: History | None = None
    """How much of the conversation stands before the last message."""
    passages: Passages | None = None
    """Which passages of a field the prompt shows; all of them if not given."""
    stream: bool = True
    """Whether a listener hears the text while it is written; held back until output guardrails have passed."""

    @property
    def reads(self) -> tuple[str, ...]:
        """The placeholders of the prompt, and the query of the passages."""
        query = self.passages.query if self.passages else None
        return tuple(dict.fromkeys([*self.prompt.placeholders, *([query] if query else [])]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer, or the chosen fields of the object."""
        model = self._model()
        if isinstance(self.into, str):
            return {self.into: model or str}
        fields = model.model_fields if model else {}
        return {target: fields[name].annotation if name in fields else Any for name, target in self.into.items()}

    @property
    def roles(self) -> tuple[str, ...]:
        """The one role, and the one that summarises."""
        return tuple(dict.fromkeys([self.model, *(self.history.roles if self.history else ())]))

    @property
    def hears_history(self) -> bool:
        """Whether it has a history."""
        return self.history is not None

    @property
    def model_calls(self) -> Sequence[CallBound]:
        """The one request, and the one for a summary."""
        attempts, most = self.retry.attempts, self.max_input_tokens
        own = CallBound("", self.model, attempts, self.max_tokens, most)
        return [*(self.history.calls(attempts, most) if self.history else ()), own]

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
        if self.output is not None and self._model() is None:
            faults.append(f"its output {self.output} is not a pydantic model")
        if not isinstance(self.into, str):
            model = self._model()
            faults += [
                f"its output has no field {name!r}" for name in self.into if model and name not in model.model_fields
            ]
            if self.output is None:
                faults.append("into names several fields, which needs an output model")
        faults += self.history.faults(self.max_input_tokens) if self.history else []
        faults += self.passages.faults(self.prompt.placeholders) if self.passages else []
        return faults

    async def run(self, inputs: Mapping[str, Any], ctx: StepContext) -> Update:
        """Ask, and check the shape of the answer."""
        shown, left_out = with_shown_passages(inputs, self.passages)
        messages = self.prompt.messages(shown)
        heard = Heard() if self.history is None else await heard_by(self, self.history, self.max_input_tokens, ctx)
        messages[-1:-1] = heard.messages
        messages += map(turned_down, ctx.feedback)
        model = self._model()
        reply = await ctx.generate(
            self.model,
            messages,
            max_tokens=self.max_tokens,
            max_input_tokens=self.max_input_tokens,
            output=model,
            stream=self.stream and model is None,
            prompt=self.prompt,
            left_out={**left_out, **heard.left_out},
        )
        if model is None:
            return {str(self.into): reply.text}
        given = validated(model, reply.data, reply.text)
        if isinstance(self.into, str):
            return {self.into: given}
        return {target: given[name] for name, target in self.into.items()}

    def _model(self) -> type[BaseModel] | None:
        return shape_of(self.output)


def shape_of(output: CodePath | None) -> type[BaseModel] | None:
    """Give the pydantic model that an output names; None if it names none."""
    model = None if output is None else output.load()
    return model if inspect.isclass(model) and issubclass(model, BaseModel) else None


def turned_down(reason: str) -> HumanMessage:
    """Tell a model why it is asked again."""
    return HumanMessage(f"Your last answer was turned down: {reason}\nAnswer again and mend that.")


def validated(model: type[BaseModel], data: Any, text: str) -> dict[str, Any]:
    """Give the object of an answer as JSON.

    Raises:
        AnswerRejected: there is none, or it does not fit.
    """
    if data is None:
        raise AnswerRejected(f"it is not a JSON object: {text[:200]!r}")
    try:
        return model.model_validate(data).model_dump(mode="json")
    except ValidationError as error:
        raise AnswerRejected(f"it does not fit {model.__name__}: {'; '.join(faults_of(error))}") from error
