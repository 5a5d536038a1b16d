"""A run goes on with the version and the models that it began with, unless somebody says otherwise."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from engine.definition.changes import changes
from engine.definition.workflow import Workflow
from engine.errors import VersionChanged
from engine.records import RunRecord


class Versions(Protocol):
    """Where the bundles of runs and the definitions of versions are read."""

    async def value(self, name: str) -> Any:
        """Give the JSON value that a column names."""
        ...

    async def definition(self, version: str) -> str | None:
        """Give the definition of a version of a workflow, as JSON."""
        ...


async def refuse_another_version(
    versions: Versions, record: RunRecord, workflow: Workflow, bundle: Mapping[str, Any]
) -> None:
    """Refuse to go on with a run if what it stands on has changed.

    Raises:
        VersionChanged: the workflow or its models have changed; the message names what.
    """
    before: dict[str, Any] = {} if record.bundle_payload is None else await versions.value(record.bundle_payload)
    if record.version == workflow.version and before.get("models") == bundle["models"]:
        return
    definition = await versions.definition(record.version)
    found = changes({**before, "definition": definition}, {**bundle, "definition": workflow.to_json()})
    raise VersionChanged(
        f"the run {record.run_id} began with another version of {workflow.name!r}: "
        f"{'; '.join(found) or 'code or prompts that it names changed'}; "
        "`--accept-version` goes on with what stands there now"
    )


def refuse_gone_nodes(run_id: str, names: Iterable[str], workflow: Workflow) -> None:
    """Refuse to go on at nodes that are gone: LangGraph would end the workflow as if it had succeeded.

    Raises:
        VersionChanged: one of them is.
    """
    if gone := [name for name in names if name not in workflow.nodes]:
        raise VersionChanged(
            f"the run {run_id} waits at {', '.join(map(repr, gone))}, which {workflow.name!r} no longer has: "
            "give the node its name back, or run the workflow anew"
        )
