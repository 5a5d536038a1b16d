"""What nodes that ask a model have in common: the role, the prompt, what they hear, and where the answer goes."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from engine.definition.by_path import Code, faults_of
from engine.definition.call_bound import CallBound
from engine.definition.context_policy import History, Passages
from engine.definition.guardrail import Stage
from engine.definition.node import Node, StepContext, Update
from engine.definition.prompt import Prompt
from engine.definition.state import State
from engine.definition.text_origin import TextOrigin
from engine.errors import AnswerRejected
from engine.nodes.history import Heard, heard_by
from engine.nodes.model_choice import Cascade, RoleOrChoice, reads_of, roles_of


def _prompt(value: Any) -> Any:
    return Prompt(text=value) if isinstance(value, str) else value


class ModelNode(Node):
    """A node that asks the model of a role for a text, or for an object of a declared shape."""

    output_stage: ClassVar[Stage] = Stage.MODEL_OUTPUT
    brings: ClassVar[TextOrigin | None] = TextOrigin.MODEL

    model: RoleOrChoice
    """The role, not the vendor's name: the app says which model plays it. Or a choice of roles: Switch, Cascade."""
    prompt: Annotated[Prompt, BeforeValidator(_prompt)]
    """What is asked; its placeholders are the fields that the node reads."""
    into: str | Mapping[str, str]
    """The field for the answer; or, with `output`, the object's fields, each with the state field it goes to."""
    max_tokens: int = Field(ge=1)
    """The most tokens of one answer of the model."""
    output: Code | None = None
    """A pydantic model: the answer must be an object of this shape."""
    max_input_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of one request; a longer one is refused before it is sent."""
    history: History | None = None
    """How much of the conversation that the run belongs to stands before the prompt's last message."""
    passages: Passages | None = None
    """Which passages of a field the prompt shows; all of them if not given."""
    stream: bool = True
    """Whether a listener hears the text while it is written, each piece once all output guardrails have settled it."""
    unsafe_stream_first: bool = False
    """Whether a listener hears the text before any output guardrail has seen it, also what one would take out; it is
    told by a reset if one did."""

    @property
    def shape(self) -> type[BaseModel] | None:
        """The pydantic model that the answer must fit; None where it is a text."""
        model = None if self.output is None else self.output.load()
        return model if inspect.isclass(model) and issubclass(model, BaseModel) else None

    @property
    def reads(self) -> tuple[str, ...]:
        """The placeholders of the prompt, the query of the passages, and what decides about the model."""
        query = self.passages.query if self.passages else None
        written = self.writes if isinstance(self.model, Cascade) else ()  # its checks see what the node would write
        deciding = [name for name in reads_of(self.model) if name not in written]
        return tuple(dict.fromkeys([*self.prompt.placeholders, *([query] if query else []), *deciding]))

    @property
    def writes(self) -> Mapping[str, Any]:
        """The answer, or the chosen fields of the object."""
        shape = self.shape
        if isinstance(self.into, str):
            return {self.into: shape or str}
        fields = shape.model_fields if shape else {}
        return {target: fields[name].annotation if name in fields else Any for name, target in self.into.items()}

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that may be asked, and the one that summarises."""
        return tuple(dict.fromkeys([*roles_of(self.model), *(self.history.roles if self.history else ())]))

    @property
    def prompts(self) -> Sequence[Prompt]:
        """Its prompt."""
        return (self.prompt,)

    @property
    def hears_history(self) -> bool:
        """Whether it has a history."""
        return self.history is not None

    @property
    def model_calls(self) -> Sequence[CallBound]:
        """The requests of a visit, and the one for a summary."""
        attempts, most = self.retry.attempts, self.max_input_tokens
        first, *others = roles_of(self.model) or ("",)
        own = CallBound("", first, attempts * self.calls_per_visit, self.max_tokens, most)
        owns = [replace(own, or_roles=tuple(others))]
        if isinstance(self.model, Cascade):  # each of them may be asked, not one of them
            owns = [replace(own, role=role) for role in self.model.roles]
        return [*(self.history.calls(attempts, most) if self.history else ()), *owns]

    def faults(self, state: type[State]) -> list[str]:
        """Check the model, the shape of the answer, where it goes, and what the model hears."""
        faults, shape = [] if isinstance(self.model, str) else self.model.faults(state), self.shape
        if not all(roles_of(self.model)) or not roles_of(self.model):
            faults.append("its model names no role: give one, as in model='large'")
        if self.output is not None and shape is None:
            faults.append(f"its output {self.output} is not a pydantic model")
        if not isinstance(self.into, str):
            faults += [
                f"its output has no field {name!r}" for name in self.into if shape and name not in shape.model_fields
            ]
            if self.output is None:
                faults.append("into names several fields, which needs an output model")
        faults += self.history.faults(self.max_input_tokens) if self.history else []
        faults += self.passages.faults(self.prompt.placeholders) if self.passages else []
        return faults

    async def hear(self, ctx: StepContext) -> Heard:
        """Give what the model is to hear of the conversation."""
        return Heard() if self.history is None else await heard_by(self, self.history, self.max_input_tokens, ctx)

    def update_of(self, answer: Any) -> Update:
        """Give the fields that an answer goes to."""
        if isinstance(self.into, str):
            return {self.into: answer}
        return {target: answer[name] for name, target in self.into.items()}


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
