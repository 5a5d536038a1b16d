"""Releases: what is run under a name is a version of a workflow that somebody chose, and can take back."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from engine.definition.workflow import Workflow
from engine.deployment import Deployment
from engine.errors import DefinitionError, InputError
from engine.records import RunRecord, VersionRecord
from engine.replay_records import ReleaseRecord
from engine.store import releases
from engine.store.releases import Pointing

_REMEMBERED_NS = 10**9  # how long a process goes by what it has read


@dataclass(frozen=True, slots=True)
class Standing:
    """What a process goes by for a while.

    Attributes:
        read_ns: when it was read, by the clock's count.
        releases: what stands for which name.
        runnable: what this process can run, by version.
    """

    read_ns: int
    releases: Mapping[str, ReleaseRecord]
    runnable: Mapping[str, Workflow]


class Releases(Deployment):
    """The part of an app that knows versions.

    What is run under a name is the version that a release of this name points at; without one, it is the workflow of
    this name in the code. A process hears of a change within a second.
    """

    _standing: Standing | None = None

    async def released(self, name: str) -> Workflow:
        """Give the workflow that is run under a name.

        Raises:
            ConfigurationError: there is neither a release nor a workflow of this name.
            InputError: the code that the released version names is not what it was.
        """
        release = (await self.standing()).releases.get(name)
        if release is None or release.version is None:
            return self.workflow(name)
        return await self.workflow_of(release.version)

    async def standing(self) -> Standing:
        """Give what the names stand for and what this process can run: its code, and what releases point at."""
        now, known = self.clock.monotonic_ns(), self._standing
        if known is not None and now - known.read_ns <= _REMEMBERED_NS:
            return known
        if known is not None:  # whoever asks meanwhile goes by what is known
            known = self._standing = replace(known, read_ns=now)
        found = await self.ledger.read(releases.current)
        runnable = {workflow.version: workflow for workflow in self.workflows.values()}
        for release in found.values():
            with suppress(InputError):  # another process has the code for it
                workflow = await self.workflow_of(release.version or "")
                runnable[workflow.version] = workflow
        standing = Standing(now, found, runnable)
        if self._standing is known:  # else it has been changed here since
            self._standing = standing
        return standing

    async def versions(self, workflows: Collection[str] | None = None) -> Sequence[str]:
        """Give what this process can run of some workflows, of all if none are named, by version.

        Raises:
            ConfigurationError: there is no workflow of one of these names.
        """
        await self.standing()
        return self.known_versions(workflows)

    def known_versions(self, workflows: Collection[str] | None = None) -> Sequence[str]:
        """Give the same as it was when releases were read last; until then it is what the code says."""
        names = {self.workflow(name).name for name in workflows or self.workflows}
        runnable = self._standing.runnable.values() if self._standing else self.workflows.values()
        return [workflow.version for workflow in runnable if workflow.name in names]

    async def to_begin(self, record: RunRecord) -> Workflow:
        """Give the workflow that a queued run begins with: what the name stands for now under which it was queued."""
        standing = await self.standing()
        own = standing.runnable.get(record.version) or self.workflow(record.workflow)
        if not standing.releases:
            return own
        name = await self.ledger.read(lambda connection: releases.name_of(connection, record.run_id))
        release = standing.releases.get(name or "")
        return own if release is None else standing.runnable.get(release.version or "", own)

    async def workflow_of(self, version: str) -> Workflow:
        """Give a version of a workflow, by a beginning of its hash.

        Raises:
            InputError: there is none, there are several, or the code that it names is not what it was.
        """
        for workflow in self.workflows.values():
            if version and workflow.version.startswith(version):
                return workflow
        if version not in self._versions:
            found = await self.ledger.read(lambda connection: releases.version_of(connection, version))
            self._versions[version] = _rebuilt(found)
        return self._versions[version]

    async def release(
        self, name: str, version: str | None = None, *, by: str | None = None, reason: str | None = None
    ) -> tuple[ReleaseRecord, int]:
        """Have a name stand for a version, that of the code if none is given; say how many queued runs follow it.

        Runs that have begun end on the version that they began with.

        Raises:
            InputError: there is no such version, or this code cannot run it.
            ConfigurationError: there is no workflow of this name.
        """
        workflow = self.workflow(name) if version is None else await self.workflow_of(version)
        return await self._point(self._pointing(name, workflow, workflow.version, by, reason))

    async def roll_back(
        self, name: str, *, by: str | None = None, reason: str | None = None
    ) -> tuple[ReleaseRecord, int]:
        """Have a name stand for what it stood for before; say how many queued runs follow it.

        Raises:
            InputError: it never stood for anything else, or this code cannot run that.
        """
        return await self._point(await self.before(name, by=by, reason=reason))

    async def before(self, name: str, *, by: str | None = None, reason: str | None = None) -> Pointing:
        """Give what has a name stand for what it stood for before, to be done in a transaction.

        Raises:
            InputError: as in `roll_back`.
        """
        past = await self.releases_of(name)
        if not past:
            raise InputError(f"nothing was ever released under {name!r}: `flowledger release set {name}` does")
        version = next((one.version for one in past[1:] if one.version != past[0].version), None)
        if version is None and name not in self.workflows:
            raise InputError(f"{name!r} never stood for anything but {past[0].version}: `flowledger release history`")
        workflow = self.workflow(name) if version is None else await self.workflow_of(version)
        return self._pointing(name, workflow, version, by, reason or "rolled back")

    async def releases_of(self, name: str | None = None) -> Sequence[ReleaseRecord]:
        """Give what a name, or every one, has stood for, the latest first."""
        return await self.ledger.read(lambda connection: releases.history(connection, name))

    def _pointing(
        self, name: str, workflow: Workflow, version: str | None, by: str | None, reason: str | None
    ) -> Pointing:
        now = self.clock.now()
        release = ReleaseRecord(
            name=name, workflow=workflow.name, version=version, set_at=now, set_by=by, reason=reason
        )
        written = VersionRecord(
            version=workflow.version, workflow=workflow.name, definition=workflow.to_json(), created_at=now
        )
        return Pointing(release, written)

    async def _point(self, pointing: Pointing) -> tuple[ReleaseRecord, int]:
        follow = await self.ledger.change(pointing.carry_out)
        self.forget_standing()
        return pointing.release, follow

    def forget_standing(self) -> None:
        """Read releases anew when they are needed next."""
        self._standing = None


def _rebuilt(found: VersionRecord) -> Workflow:
    what = f"the version {found.version[:12]} of {found.workflow!r}"
    try:
        workflow = Workflow.from_json(found.definition)
    except DefinitionError as error:
        raise InputError(f"{what} cannot be run by this code: {error}") from error
    if workflow.version != found.version:
        raise InputError(
            f"{what} cannot be run by this code: functions, tools or classes that it names are others by now; "
            "a process with that code can"
        )
    return workflow
