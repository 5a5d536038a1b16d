"""Which workflows there are, and whether the server can do its work."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path

from engine.app import App
from engine.server.callers import Reader
from engine.server.problems import refused
from engine.server.views import Health, WorkflowView


@dataclass(frozen=True, slots=True)
class Workflows:
    """The addresses under /v1/workflows, and /healthz."""

    app: App

    def add_to(self, router: APIRouter) -> None:
        """Add the addresses."""
        router.add_api_route("/workflows", self.every, methods=["GET"], summary="List workflows")
        router.add_api_route("/workflows/{name}", self.one, methods=["GET"], summary="Look at a workflow")

    async def every(self, caller: Reader) -> list[WorkflowView]:
        """List what can be run, by name, with the JSON Schema of its input."""
        del caller
        return [WorkflowView.of(workflow) for _, workflow in sorted(self.app.workflows.items())]

    async def one(self, name: Annotated[str, Path(max_length=200)], caller: Reader) -> WorkflowView:
        """Look at one of them."""
        del caller
        if name not in self.app.workflows:
            raise refused(404, f"there is no workflow {name!r}: GET /v1/workflows lists them")
        return WorkflowView.of(self.app.workflows[name])

    async def health(self) -> Health:
        """Say ok if the ledger answers; needs no token and tells nothing else."""
        await self.app.ledger.known(["0" * 32])
        return Health(status="ok")
