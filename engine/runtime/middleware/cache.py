"""Cache: what a node wrote for the same definition, models, tenant and inputs is used again, for a while.

Entries stand in the ledger, so that every process has them; each keeps in memory what it used lately. Who asks for what
somebody is just making waits for that, and makes it itself if it was not made.
"""

import asyncio
import inspect
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic_core import to_jsonable_python

from engine.definition.by_path import source_of
from engine.definition.named_code import code_in
from engine.definition.policies import Cache, Similar
from engine.definition.tool import signature_of
from engine.errors import BudgetExceeded, EngineError, NodeFailed, RunError
from engine.payloads import digest
from engine.records import CacheEntryRecord
from engine.runtime.classify import scrub
from engine.runtime.middleware.degrade import note
from engine.runtime.run import Run, Step, StepNext
from engine.runtime.tape import Tape

_FRESH_NS = 30 * 10**9  # how long an entry is used without looking whether it was cleared


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node wrote once, and what that was charged."""

    update: Mapping[str, Any]
    nano_usd: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an answer is kept: under a key, and in a group whose texts are compared."""

    key: str
    group: str = ""


@dataclass(slots=True)
class StepCache:
    """What this process used lately by key, the least recently used going first, and what is being made.

    Attributes:
        making: futures by key, done when somebody has made it, or not.
        most: how many entries are kept.
    """

    most: int = 10_000
    making: dict[str, Any] = field(default_factory=dict[str, Any])
    _entries: OrderedDict[str, tuple[int, Kept]] = field(default_factory=OrderedDict[str, tuple[int, Kept]])
    _nodes: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])

    def get(self, key: str, now_ns: int) -> Kept | None:
        """Give what is kept under a key, unless its time is over."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found[0] <= now_ns:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return found[1]

    def put(self, key: str, kept: Kept, until_ns: int) -> None:
        """Keep what a node wrote under a key until a time."""
        self._entries[key] = (until_ns, kept)
        self._entries.move_to_end(key)
        while len(self._entries) > self.most:
            self._entries.popitem(last=False)

    def node_of(self, step: Step) -> str:
        """Hash a node with its code, its prompt and the models behind its roles; other nodes may change."""
        place = step.run.bundle_hash, step.name
        if place not in self._nodes:
            node = step.node
            code = {str(path): source_of(path.load()) for path in set(code_in(node))}
            models = {role: [one.identity for one in step.run.targets_of(role)] for role in node.roles}
            self._nodes[place] = digest([node.kind, node.model_dump(mode="json"), code, models])
        return self._nodes[place]


async def cache(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Answer from the cache, or make the answer and keep it; what failed or fell back is never kept."""
    policy, cached = step.node.cache, step.run.cache
    if policy is None:
        return await call_next(step)
    if step.run.tape is not None:
        return await _as_recorded(step, call_next, step.run.tape)
    place = await _place(step, policy, cached)
    while True:
        found = cached.get(place.key, step.run.clock.monotonic_ns())
        if found is None and (others := cached.making.get(place.key)) is not None:
            await asyncio.shield(others)
            continue
        return _used(step, found) if found is not None else await _made(step, call_next, place, policy)


async def _made(step: Step, call_next: StepNext, place: _Place, policy: Cache) -> Mapping[str, Any]:
    """Look in the ledger, else have the node do its work; those who wait look again, however this ends."""
    run, cached, key = step.run, step.run.cache, place.key
    done = cached.making[key] = asyncio.get_running_loop().create_future()
    try:
        entry = await run.ledger.cache_entry(key, run.clock.now())
        if entry is not None:
            kept = await _kept(run, entry)
            left = (entry.expires_at - run.clock.now()).total_seconds()
            cached.put(key, kept, run.clock.monotonic_ns() + min(int(left * 1e9), _FRESH_NS))
            return _used(step, kept)
        vector = await _vector(step, policy.similar)
        if policy.similar is not None and vector is not None:
            near = await run.ledger.nearest_cache_entry(place.group, vector, policy.similar.at_least, run.clock.now())
            if near is not None:
                note(step, f"similar {near[1]:.3f}")
                return _used(step, await _kept(run, near[0]))
        update = await _or_stale(step, call_next, key, policy)
        if step.record.degraded is not None:
            return update  # others may have more to spend
        kept = Kept(update, step.spent.nano_usd, step.spent.tokens)
        _keep(run, step, place, kept, policy, vector)
        cached.put(key, kept, run.clock.monotonic_ns() + min(int(policy.ttl * 1e9), _FRESH_NS))
        return update
    finally:
        del cached.making[key]
        done.set_result(None)


async def _as_recorded(step: Step, call_next: StepNext, tape: Tape) -> Mapping[str, Any]:
    """Give what the cache gave in the recorded run; a replay neither reads nor fills it."""
    row = tape.step(step.key)
    if row is None or not row.cached or row.update_payload is None:
        return await call_next(step)
    step.record.degraded = row.degraded
    kept = await step.run.ledger.value(row.update_payload)
    return _used(step, Kept(kept, row.saved_nano_usd or 0, row.saved_tokens or 0))


async def _kept(run: Run, entry: CacheEntryRecord) -> Kept:
    return Kept(await run.ledger.value(entry.update_payload), entry.saved_nano_usd, entry.saved_tokens)


async def _vector(step: Step, similar: Similar | None) -> str | None:
    """Give the direction of the text that may differ; None where there is none, or nobody can tell just now."""
    text = None if similar is None else step.inputs.get(similar.field)
    if similar is None or not isinstance(text, str) or not text.strip():
        return None
    try:
        return await step.run.embed(step, similar, text)
    except RunError as error:
        if not (error.recoverable or isinstance(error, BudgetExceeded)):
            raise
        return None


async def _or_stale(step: Step, call_next: StepNext, key: str, policy: Cache) -> Mapping[str, Any]:
    """Have the node do its work; if it cannot, use what was kept before, though its time is over."""
    try:
        return await call_next(step)
    except RunError as error:
        if policy.stale is None or not (error.recoverable or isinstance(error, BudgetExceeded)):
            raise
        run = step.run
        entry = await run.ledger.cache_entry(key, run.clock.now() - timedelta(seconds=policy.stale))
        if entry is None:
            raise
        note(step, "stale")
        step.record.error_type, step.record.error_message = type(error).__name__, scrub(str(error))
        return _used(step, await _kept(run, entry))


def _keep(run: Run, step: Step, place: _Place, kept: Kept, policy: Cache, vector: str | None) -> None:
    now = run.clock.now()
    entry = CacheEntryRecord(
        cache_key=place.key,
        workflow=run.record.workflow,
        node_name=step.name,
        tenant=None if policy.shared else run.record.tenant,
        update_payload=run.keep(dict(kept.update)),
        saved_nano_usd=kept.nano_usd,
        saved_tokens=kept.tokens,
        made_by_run_id=run.record.run_id,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.ttl),
        group_key=None if vector is None else place.group,
        vector=vector,
    )
    run.write((entry,))


def _used(step: Step, kept: Kept) -> Mapping[str, Any]:
    step.record.cached = True
    step.record.saved_nano_usd, step.record.saved_tokens = kept.nano_usd, kept.tokens
    return kept.update


async def _place(step: Step, policy: Cache, cached: StepCache) -> _Place:
    tenant = None if policy.shared else [step.run.record.tenant]
    version = [] if policy.version is None else [await _version(step, policy.version.load())]
    parts, inputs = [cached.node_of(step), tenant], dict(step.inputs)
    key = digest([*parts, inputs, *version])
    if policy.similar is None:
        return _Place(key)
    inputs.pop(policy.similar.field, None)
    return _Place(key, digest([*parts, inputs, *version]))


async def _version(step: Step, function: Any) -> Any:
    """Ask what the answer depends on besides what the node reads."""
    fields = {name: step.state.get(name) for name in signature_of(function).types}
    try:
        if inspect.iscoroutinefunction(function):
            return to_jsonable_python(await function(**fields))
        return to_jsonable_python(await asyncio.to_thread(function, **fields))
    except EngineError:
        raise
    except Exception as error:
        raise NodeFailed(f"the version of the cache of {step.name!r} raised {type(error).__name__}: {error}") from error
