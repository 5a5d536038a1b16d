"""Cache: what a node wrote for the same definition, models and inputs is used again, for a while."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.payloads import digest
from engine.runtime.run import Step, StepNext


@dataclass(slots=True)
class StepCache:
    """Updates by key, in this process; the least recently used ones go first.

    Attributes:
        most: how many entries are kept.
    """

    most: int = 10_000
    _entries: OrderedDict[str, tuple[int, Mapping[str, Any]]] = field(
        default_factory=OrderedDict[str, tuple[int, Mapping[str, Any]]]
    )

    def get(self, key: str, now_ns: int) -> Mapping[str, Any] | None:
        """Give what is kept under a key, unless its time is over."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found[0] <= now_ns:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return found[1]

    def put(self, key: str, update: Mapping[str, Any], until_ns: int) -> None:
        """Keep an update under a key until a time."""
        self._entries[key] = (until_ns, update)
        self._entries.move_to_end(key)
        while len(self._entries) > self.most:
            self._entries.popitem(last=False)


async def cache(step: Step, call_next: StepNext) -> Mapping[str, Any]:
    """Answer from the cache; what failed or fell back is never kept."""
    policy, kept = step.node.cache, step.run.cache
    if policy is None:
        return await call_next(step)
    key = _key(step)
    found = kept.get(key, step.run.clock.monotonic_ns())
    if found is not None:
        step.record.cached = True
        return found
    update = await call_next(step)
    kept.put(key, update, step.run.clock.monotonic_ns() + int(policy.ttl * 1e9))
    return update


def _key(step: Step) -> str:
    """Hash the definition with its code and prompts, the models behind the roles, and what the node reads."""
    return digest([step.run.record.version, step.run.bundle_hash, step.name, step.inputs])
