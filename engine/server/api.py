"""The HTTP API of an app: every address, who may ask, and a true OpenAPI document of both."""

from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from engine.app import App
from engine.runtime.provenance import engine_version
from engine.server.callers import Anybody
from engine.server.events import Events
from engine.server.limits import BodyLimit
from engine.server.outcomes import Outcomes
from engine.server.problems import PROBLEMS, Problem, add_handlers
from engine.server.questions import Questions
from engine.server.runs import Runs
from engine.server.tokens import Tokens
from engine.server.views import Health
from engine.server.watch import Watch
from engine.server.workflows import Workflows

_ABOUT = "Queue runs of workflows, follow them, answer what they ask, and see what they cost."
_IN_OPENAPI = "#/components/schemas/{model}"


def api_of(app: App, tokens: Tokens, watch: Watch | None = None) -> FastAPI:
    """Make the API; `watch` is told when the server stops."""
    api = FastAPI(
        title="flowledger",
        version=engine_version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_named,
    )
    api.state.tokens = tokens
    watch = watch or Watch(app.ledger)
    router = APIRouter(prefix="/v1", responses=PROBLEMS)
    workflows = Workflows(app)
    for family in (Runs(app, watch), Events(app, watch), Questions(app), Outcomes(app), workflows):
        family.add_to(router)
    api.include_router(router)
    unready: dict[int | str, dict[str, Any]] = {status: PROBLEMS[status] for status in (500, 503)}
    api.add_api_route("/healthz", workflows.health, response_model=Health, responses=unready, summary="Say ok")

    async def document(caller: Anybody) -> dict[str, Any]:
        """Give this document."""
        del caller
        return written

    written = _document(app, api)
    api.add_api_route("/openapi.json", document, include_in_schema=False)
    add_handlers(api)
    api.add_middleware(BodyLimit)
    return api


def _named(route: APIRoute) -> str:
    """Name an operation by what it does, as in queue_a_run; clients made of the document call it so."""
    return str(route.summary).lower().replace(" ", "_")


def _document(app: App, api: FastAPI) -> dict[str, Any]:
    """Write the OpenAPI document, with the input of each workflow as it is."""
    document = get_openapi(title=api.title, version=api.version, description=_ABOUT, routes=api.routes)
    for operation in [one for path in document["paths"].values() for one in path.values()]:
        for parameter in operation.get("parameters", ()):
            given, *_ = parameter["schema"].pop("anyOf", [{}])  # the other is null, which no address and header can say
            parameter["schema"] |= given
    schemas: dict[str, Any] = document["components"]["schemas"]
    states = [(workflow.state, "validation") for workflow in app.workflows.values()]
    inputs, parts = models_json_schema(states, ref_template=_IN_OPENAPI)  # pyright: ignore[reportArgumentType]
    schemas |= {"Problem": Problem.model_json_schema(), **parts.get("$defs", {})}
    asked = schemas.pop("RunAsked")
    refs: dict[str, str] = {}
    for workflow in app.workflows.values():
        fields = asked["properties"] | {
            "workflow": {"const": workflow.name},
            "input": inputs[workflow.state, "validation"],
        }
        needed = any(field.is_required() for field in workflow.state.model_fields.values())
        name = f"run-of-{workflow.name}"
        refs[workflow.name] = _IN_OPENAPI.format(model=name)
        required = ["workflow", "input"] if needed else ["workflow"]
        schemas[name] = asked | {"properties": fields, "required": required, "title": name}
    union = {"oneOf": [{"$ref": ref} for ref in refs.values()]}
    schemas["RunAsked"] = union | {"discriminator": {"propertyName": "workflow", "mapping": refs}}
    return document
