"""What runs ask people, over HTTP: the open questions of a run, and an answer to one."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path

from engine.app import App
from engine.errors import InputError
from engine.records import QuestionRecord
from engine.reports.questions import values_of
from engine.server.callers import Approver, Reader, RunId, run_of
from engine.server.problems import refused
from engine.server.views import Answer, QuestionView, RunView

QuestionId = Annotated[str, Path(pattern="^[0-9a-f]{8,64}$", description="The question's id.")]


@dataclass(frozen=True, slots=True)
class Questions:
    """The addresses under /v1/runs/{run_id}/questions."""

    app: App

    def add_to(self, router: APIRouter) -> None:
        """Add the addresses."""
        add = router.add_api_route
        add("/runs/{run_id}/questions", self.of_run, methods=["GET"], summary="List what a run asks people")
        path = "/runs/{run_id}/questions/{question_id}/answer"
        add(path, self.answer, methods=["POST"], summary="Answer a question")

    async def of_run(self, run_id: RunId, caller: Reader) -> list[QuestionView]:
        """List what a run waits for people to answer; nothing if it does not wait."""
        run = await run_of(self.app, run_id, caller)
        asked = await self.app.questions(run.run_id)
        return [QuestionView.of(one, await values_of(self.app.ledger, one)) for one in asked]

    async def answer(self, run_id: RunId, question_id: QuestionId, said: Answer, caller: Approver) -> RunView:
        """Answer a question, once; a run that came through a queue then goes on."""
        run = await run_of(self.app, run_id, caller)
        asked = await self._open(run_id, question_id)
        if asked is None:
            raise refused(409, f"the run {run_id} does not wait for an answer to the question {question_id}")
        if not asked.digest.startswith(said.digest):
            raise refused(409, "the question is about something else than this digest: look at what it shows")
        try:
            await self.app.answer(
                run_id,
                said.answer,
                refuse=said.refuse,
                reason=said.reason,
                question=asked.question_id,
                digest=said.digest,
                by=said.by or caller.token.name,
            )
        except InputError as error:
            is_open = await self._open(run_id, question_id) is not None
            raise refused(422 if is_open else 409, str(error)) from error
        (run,) = await self.app.ledger.known([run_id])
        return RunView(**RunView.fields_of(run))

    async def _open(self, run_id: str, question_id: str) -> QuestionRecord | None:
        asked = await self.app.questions(run_id)
        return next((one for one in asked if one.question_id == question_id), None)
