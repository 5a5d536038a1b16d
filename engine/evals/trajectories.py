"""Trajectories: what an agent said and did elsewhere, as a file tells it, one JSON object a line."""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, BeforeValidator, Field

from engine.definition.by_path import Frozen
from engine.errors import DefinitionError, InputError, why_not
from engine.evals.case import Case
from engine.json_lines import lines_in, object_in

Format = Literal["trajectories", "tau-bench"]
Message = Mapping[str, Any]
_Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class MessageUsage(Frozen):
    """What a model was billed for one message."""

    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)


class Trajectory(Frozen):
    """One try of a task: the messages between an agent, a user and tools, and what came of it."""

    task: _Name
    """Which task it is a try of."""
    messages: Sequence[Message] = Field(min_length=1)
    """As OpenAI's chat API has them: role, content, tool_calls, tool_call_id. A message of the assistant may have
    `usage` and `cost_usd`; one of a tool that failed has `"status": "error"`."""
    input: Mapping[str, Any] | None = None
    """What the agent was given; else the first message of the user."""
    output: Mapping[str, Any] | None = None
    """What it came to; else the last text of the assistant, as `answer`."""
    expect: Mapping[str, Any] | None = None
    """What evaluators compare with, as a case has it."""
    reward: float | None = Field(default=None, ge=0, le=1)
    """What it is worth, from 0 to 1."""
    success: bool | None = None
    """Whether it did what it was for; else whether the reward is 1."""
    scores: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = {}
    """Further scores by name, each from 0 to 1."""
    status: Literal["succeeded", "failed"] = "succeeded"
    """Whether the agent came to its end, whatever that was worth."""
    error: str | None = None
    """Why it did not."""
    provider: str | None = None
    """Whose the model is, as in openai."""
    model: str | None = None
    """Which model, as in gpt-4o."""
    started_at: AwareDatetime | None = None
    """When it began; else the moment of the import."""
    seconds: float | None = Field(default=None, ge=0)
    """How long it took."""
    tenant: str | None = None
    """For whom."""
    user: str | None = None
    """By whom."""
    tags: tuple[str, ...] = ()
    """Tags of its case."""
    cluster: str | None = None
    """The cluster of its case."""

    @property
    def succeeds(self) -> bool | None:
        """Whether it did what it was for; None if nobody said."""
        return self.success if self.success is not None or self.reward is None else self.reward >= 1

    @property
    def worth(self) -> dict[str, float]:
        """Its scores by name, the reward or success among them."""
        reward = self.reward if self.reward is not None else self.success
        return ({} if reward is None else {"reward": float(reward)}) | dict(self.scores)

    @property
    def case(self) -> Case:
        """What it is a trial of."""
        given = self.input
        if given is None:
            said = next((message.get("content") for message in self.messages if message.get("role") == "user"), "")
            given = {"question": said or ""}
        return Case(input=given, expect=self.expect, tags=self.tags, cluster=self.cluster)

    @property
    def answer(self) -> dict[str, Any]:
        """What it came to."""
        if self.output is not None:
            return dict(self.output)
        texts = [one.get("content") for one in self.messages if one.get("role") == "assistant" and one.get("content")]
        return {"answer": texts[-1]} if texts else {}


def usage_of(message: Message, where: str) -> tuple[MessageUsage | None, int | None]:
    """Give what a message says of its tokens and its cost in nano-USD; None for what it does not say.

    Raises:
        InputError: it says something else.
    """
    try:
        usage = None if message.get("usage") is None else MessageUsage(**message["usage"])
        usd = None if message.get("cost_usd") is None else Decimal(str(message["cost_usd"]))
    except (DefinitionError, ArithmeticError, TypeError) as error:
        raise InputError(
            f'{where}: write `"usage": {{"input_tokens": 120, "output_tokens": 8}}` and `"cost_usd": 0.002`: {error}'
        ) from error
    return usage, None if usd is None else int(usd * 10**9)


def read_trajectories(file: Path, form: Format = "trajectories") -> list[Trajectory]:
    """Read a file of trajectories: JSON lines or one JSON list, as it is or with gzip.

    Args:
        file: where they stand.
        form: `trajectories`, one object with the fields of `Trajectory` each; or `tau-bench`, as its runs write them.

    Raises:
        InputError: the file cannot be read, one of them is none, or there is none.
    """
    try:
        data = file.read_bytes()
        text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise InputError(f"the file {file} cannot be read: {why_not(error)}") from error
    found = [_read(given, where, form) for where, given in _objects_in(text, str(file))]
    if not found:
        raise InputError(f"{file}: there is no trajectory in it; write one JSON object a line")
    return found


def _objects_in(text: str, file: str) -> list[tuple[str, dict[str, Any]]]:
    if not text.lstrip().startswith("["):
        lines = [(f"{file}, line {at}", line) for at, line in enumerate(lines_in(text), 1) if line.strip()]
        return [(where, object_in(line, where)) for where, line in lines]
    try:
        items = cast("list[Any]", json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: it is not JSON: {error}") from error
    return [(f"{file}, item {at}", object_in(json.dumps(one), f"{file}, item {at}")) for at, one in enumerate(items, 1)]


def _read(given: dict[str, Any], where: str, form: Format) -> Trajectory:
    try:
        return Trajectory(**(_from_tau_bench(given, where) if form == "tau-bench" else given))
    except DefinitionError as error:
        raise InputError(f"{where}: {'; '.join(error.faults)}") from error


def _from_tau_bench(given: dict[str, Any], where: str) -> dict[str, Any]:
    """Read a result of tau-bench: `traj` and `info.task` as its runs write them, or the same fields side by side."""
    info = cast("dict[str, Any]", given.get("info") or {})
    task = cast("dict[str, Any]", info.get("task") or given)
    actions = cast("list[dict[str, Any]] | None", task.get("actions", given.get("expected_actions")))
    messages = given.get("traj", given.get("messages"))
    if "task_id" not in given or not isinstance(messages, list):
        raise InputError(f"{where}: a result of tau-bench has a task_id, and messages under traj")
    expect: dict[str, Any] = {"outputs": task["outputs"]} if task.get("outputs") else {}
    if actions is not None:
        expect["tools"] = [{"name": one["name"], "arguments": one.get("kwargs") or {}} for one in actions]
    return {
        "task": str(given["task_id"]),
        "input": {"instruction": task.get("instruction") or f"task {given['task_id']}"},
        "expect": expect or None,
        "reward": given.get("reward"),
        "messages": [_from_tau_message(message) for message in cast("list[Message]", messages)],
    }


def _from_tau_message(message: Message) -> Message:
    """Say of a tool that failed that it did, and of a prompt that is kept elsewhere where it is."""
    if message.get("role") == "tool" and str(message.get("content")).startswith("Error"):
        return {**message, "status": "error"}
    return {**message, "content": f"[{message['content_ref']}]"} if "content_ref" in message else message
