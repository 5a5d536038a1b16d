"""What became of runs, over HTTP: said by the systems that know it, however late, and read back."""

from dataclasses import dataclass

from fastapi import APIRouter

from engine.app import App
from engine.server.callers import Judge, Key, Reader, RunId, run_of
from engine.server.views import OutcomeSaid, OutcomeView


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The addresses under /v1/runs/{run_id}/outcomes."""

    app: App

    def add_to(self, router: APIRouter) -> None:
        """Add the addresses."""
        add, path = router.add_api_route, "/runs/{run_id}/outcomes"
        add(path, self.say, methods=["POST"], status_code=201, summary="Say what became of a run")
        add(path, self.of_run, methods=["GET"], summary="List what was said of a run")

    async def say(self, run_id: RunId, said: OutcomeSaid, caller: Judge, idempotency_key: Key = None) -> OutcomeView:
        """Say what became of a run; what is said last counts, and what was said before is kept."""
        run = await run_of(self.app, run_id, caller)
        kept = await self.app.outcome(
            run.run_id,
            said.success,
            value=said.value,
            name=said.name,
            source=said.source or caller.token.name,
            note=said.note,
            key=idempotency_key,
        )
        return OutcomeView.of(kept)

    async def of_run(self, run_id: RunId, caller: Reader) -> list[OutcomeView]:
        """List what was said of a run, the last at the end."""
        run = await run_of(self.app, run_id, caller)
        return [OutcomeView.of(one) for one in await self.app.outcomes(run.run_id)]
