"""The one way out of a node: every request becomes a call that goes through the call stack."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from langchain_core.messages import BaseMessage
from pydantic import BaseModel, ValidationError

from engine.definition.by_path import by_path, path_of
from engine.definition.conversation import Turn
from engine.definition.guardrail import GuardItem, Guardrail, Stage, Verdict
from engine.definition.judge import Judge, Opinion
from engine.definition.node import Effect, Node, Reply
from engine.definition.passage import Retrieved
from engine.definition.policies import Similar
from engine.definition.prompt import Prompt
from engine.definition.question import Decision, Question
from engine.definition.text_origin import Source
from engine.definition.tool import IDEMPOTENCY_KEY, ToolSignature, signature_of
from engine.errors import ContextTooLong, MalformedOutput
from engine.payloads import Shared, digest
from engine.runtime.answer import Answer
from engine.runtime.asking import ask
from engine.runtime.compose import compose
from engine.runtime.examine import examine
from engine.runtime.history import EMBEDDINGS_CALL, MODEL_CALL, RETRIEVER_CALL, RUNNABLE_CALL, TOOL_CALL
from engine.runtime.middleware.degrade import at_most, note, role_for
from engine.runtime.middleware.guard import guarded
from engine.runtime.nested import visit_inside, walk_inside
from engine.runtime.routing import note_route
from engine.runtime.run import Call, CallNext, Step, StepNext, Target
from engine.runtime.second_opinion import PURPOSE
from engine.runtime.sources import sources_at
from engine.runtime.stacks import CALL_STACK
from engine.runtime.targets.embeddings import EmbeddingsTarget
from engine.runtime.targets.model import ModelRequest, said
from engine.runtime.targets.retriever import RetrieverTarget
from engine.runtime.targets.runnable import RunnableTarget
from engine.runtime.targets.tool import ToolTarget, as_json, idempotency_key
from engine.runtime.telling import tell
from engine.usage import Price, Usage


async def _send(call: Call) -> Answer:
    """Send a request; what the app redacts goes out of the answer before anybody sees it."""
    answer = await call.target.send(call)
    response = call.run.redacted(answer.response)
    if response is answer.response:
        return answer
    return replace(answer, value=call.target.restore(call, response).value, response=response)


_make: CallNext = compose(CALL_STACK, _send)


async def embed(step: Step, policy: Similar, text: str) -> str:
    """Ask an embedding model for the vector of a text, as a call of a step."""
    target = EmbeddingsTarget(policy, policy.embeddings.load())
    request = {"embeddings": str(policy.embeddings), "input": text}
    details = {"effect": "read", "purpose": "cache"}
    return (await _call(step, [target], EMBEDDINGS_CALL, str(policy.embeddings), request, text, details=details)).value


async def ask_judge(step: Step, judge: Judge, messages: Sequence[BaseMessage], name: str) -> Opinion:
    """Ask the judge of the guardrail with a name, as a call of a step.

    Raises:
        MalformedOutput: it did not answer as it should.
    """
    ctx = Context(step, _visit_nothing)
    reply = await ctx.generate(
        judge.model,
        messages,
        max_tokens=judge.max_tokens,
        output=Opinion,
        prompt=Prompt(text=judge.question, name=name),
        purpose=PURPOSE,
    )
    try:
        return Opinion.model_validate(reply.data)
    except ValidationError as error:
        raise MalformedOutput(f"the judge {judge.model!r} said neither yes nor no: {reply.text[:100]!r}") from error


async def _visit_nothing(step: Step) -> Mapping[str, Any]:
    raise TypeError(f"a judge visits nothing, and was to visit {step.name}")


async def _call(
    step: Step,
    targets: Sequence[Target],
    operation: str,
    role: str,
    request: Any,
    payload: Any,
    **more: Any,
) -> Answer:
    step.calls += 1
    call = Call(
        step=step,
        targets=targets,
        operation=operation,
        role=role,
        request=request,
        request_hash=digest(request),
        payload=payload,
        ordinal=step.calls,
        **more,
    )
    return await _make(call)


class Context:
    """What the node of one step may do; see StepContext for what each method promises."""

    def __init__(self, step: Step, visit: StepNext) -> None:
        self._step = step
        self._visit = visit

    @property
    def run_id(self) -> str:
        """The run this step belongs to."""
        return self._step.record.run_id

    @property
    def node(self) -> str:
        """The name of the node in its workflow."""
        return self._step.name

    @property
    def feedback(self) -> Sequence[str]:
        """Why earlier answers of this step were turned down, oldest first."""
        return tuple(self._step.feedback)

    @property
    def kept(self) -> dict[str, Any]:
        """What the node keeps between an answer that was turned down and the next."""
        return self._step.kept

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the state holds and what it was made of, with those who had a part in it."""
        return sources_at(self._step)

    async def generate(
        self,
        role: str,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        max_input_tokens: int | None = None,
        output: type[BaseModel] | None = None,
        stream: bool = False,
        prompt: Prompt | None = None,
        tools: Sequence[ToolSignature] = (),
        leaving_another: bool = False,
        left_out: Mapping[str, Any] | None = None,
        purpose: str | None = None,
        falls_back_when_too_long: bool = True,
        skip_first: bool = False,
    ) -> Reply:
        """Ask the model that plays a role."""
        request: dict[str, Any] = {"model": role, "messages": Shared(map(said, messages)), "max_tokens": max_tokens}
        if output is not None:
            request["output"] = output.model_json_schema()
        if tools:
            request["tools"] = [tool.as_function() for tool in tools]
        if left_out:
            request["left_out"] = dict(left_out)
        step = self._step
        targets = step.run.targets_of(role_for(step, role))
        if skip_first and not (targets := targets[1:]):
            raise ContextTooLong(f"the request is too long for the model of {role!r}, and no other stands behind it")
        answer = await _call(
            step,
            targets,
            MODEL_CALL,
            role,
            request,
            ModelRequest(
                messages=messages,
                output=output,
                tools=request.get("tools", ()),
                stream=stream and step.run.outbox.redaction is None,  # a piece may be part of what is redacted
                max_input_tokens=max_input_tokens,
            ),
            asked_tokens=at_most(step, "max_tokens", max_tokens),
            leaves_another=leaving_another,
            details={
                "prompt_name": prompt.name if prompt else None,
                "prompt_version": prompt.version if prompt else None,
                "purpose": purpose,
                "falls_back_when_too_long": falls_back_when_too_long,
            },
        )
        return answer.value

    async def turns(self, last: int, *, inside: str | None = None) -> Sequence[Turn]:
        """Give the newest turns that the conversation had when the run began, the oldest first."""
        run, step_name = self._step.run, None if inside is None else f"{self._step.name}/{inside}"
        conversation = run.workflow.conversation
        if conversation is None or run.record.conversation_id is None:
            return ()
        if (last, step_name) not in run.turns:
            record = run.record if run.tape is None else run.tape.record
            found = await run.ledger.turns(record, conversation, last, inside=step_name)
            run.turns[last, step_name] = found
        return run.turns[last, step_name]

    async def call_tool(
        self,
        tool: Any,
        arguments: Mapping[str, Any],
        *,
        effect: Effect = "once",
        probe: Any = None,
        backup: Any = None,
        approval: str | None = None,
        wait_seconds: float | None = None,
        guard_arguments: Sequence[Guardrail] = (),
        guard_answer: Sequence[Guardrail] = (),
        sources: Sequence[Source] | None = None,
        restores: bool = False,
    ) -> Any:
        """Call a typed function or LangChain tool."""
        codes = [by_path(one) if isinstance(one, str) else one for one in (tool, backup) if one is not None]
        targets = [ToolTarget(code, signature_of(code)) for code in codes]
        signature = targets[0].signature
        checked = signature.check(arguments)
        plain = as_json(checked, f"the arguments of the tool {signature.name!r}")
        about = {"tool": signature.name, "effect": effect, "arguments": plain}
        about |= {} if sources is None else {"sources": tuple(sources)}
        if guard_arguments:
            plain = dict(await self._guarded(guard_arguments, plain, Stage.TOOL_ARGUMENTS, about))
            checked = signature.check(plain)
        answer = await _call(
            self._step,
            targets,
            TOOL_CALL,
            signature.name,
            {"tool": signature.name, "arguments": plain},
            checked,
            details={
                "effect": effect,
                "probe": by_path(probe) if isinstance(probe, str) else probe,
                "approval": approval,
                "wait_seconds": wait_seconds,
                "restores": restores,
                IDEMPOTENCY_KEY: idempotency_key(self.run_id, signature.name, plain),
            },
        )
        if not guard_answer:
            return answer.value
        return (await self._guarded(guard_answer, {"answer": answer.value}, Stage.TOOL_OUTPUT, about))["answer"]

    async def _guarded(
        self, guardrails: Sequence[Guardrail], value: Mapping[str, Any], stage: Stage, about: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        step = self._step
        return await guarded(step.run, guardrails, value, stage, step=step, may_ask_again=False, about=about)

    async def call_runnable(
        self,
        runnable: Any,
        value: Any,
        *,
        effect: Effect = "once",
        max_tokens: int = 4096,
        prices: Mapping[str, Price] | None = None,
    ) -> Any:
        """Call a LangChain Runnable as a whole."""
        path = str(runnable)
        plain = as_json(value, f"the input of the runnable {path!r}")
        target = RunnableTarget(
            runnable=by_path(path), path=path, effect=effect, max_tokens=max_tokens, prices=prices or {}
        )
        details = {"effect": effect, IDEMPOTENCY_KEY: idempotency_key(self.run_id, path, plain)}
        request = {"runnable": path, "input": plain}
        answer = await _call(self._step, [target], RUNNABLE_CALL, path, request, plain, details=details)
        return answer.value

    async def retrieve(
        self, retriever: Any, query: str, *, top_k: int, arguments: Mapping[str, Any] | None = None
    ) -> Retrieved:
        """Ask a retriever for the passages that fit a query best."""
        path = str(retriever) if isinstance(retriever, str) else path_of(retriever)
        request = {"query": query, "top_k": top_k, "arguments": dict(arguments or {})}
        target = RetrieverTarget(by_path(path), path)
        asked = request | {"top_k": at_most(self._step, "top_k", top_k)}
        answer = await _call(self._step, [target], RETRIEVER_CALL, path, {"retriever": path, **request}, asked)
        return answer.value

    async def visit(
        self, name: str, node: Node, inputs: Mapping[str, Any], *, item: int | None = None
    ) -> Mapping[str, Any]:
        """Run another node as a step inside this one."""
        return await visit_inside(self._step, self._visit, name, node, inputs, item)

    async def walk(self, workflow: Any, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run a workflow inside this step."""
        return await walk_inside(self._step, workflow, given)

    async def ask(self, question: Question) -> Decision:
        """Ask a person, and wait."""
        return await ask(self._step, question)

    def note(self, what: str) -> None:
        """Write down what the step did without, or did instead of its best."""
        note(self._step, what)

    def routed(self, asked: Sequence[str], *, among: Sequence[str], usage: Usage | None) -> None:
        """Write down which roles were asked, and what that saved."""
        note_route(self._step, asked, among, usage)

    def emit(self, name: str, data: Any = None) -> None:
        """Tell whoever listens something of the node's own."""
        tell(self._step, name, data)

    async def examine(self, guardrail: Guardrail, item: GuardItem) -> list[tuple[str, Verdict]]:
        """Ask a guardrail and write down what it says."""
        told = item if item.sources else item.model_copy(update={"sources": self.sources})
        return await examine(self._step.run, guardrail, told, self._step)

    def now(self) -> datetime:
        """Tell when this step began, aware and in UTC; the same when it runs again."""
        return self._step.began_at

    def random(self) -> float:
        """Draw a number from 0 to 1; the same when the step runs again."""
        self._step.draws += 1
        tape = self._step.run.tape
        recorded = None if tape is None else tape.step(self._step.key)
        seed = self._step.record.step_id if recorded is None else recorded.step_id
        return Random(f"{seed}:{self._step.draws}").random()  # noqa: S311 - chance, not a secret
