"""What extra attempts targets have earned: one that is down, or slow, must not get every request twice."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Earned:
    """Extra attempts by target: each first attempt earns a share of one.

    Attributes:
        most: how many a target may have saved; what it begins with.
    """

    most: float
    _saved: dict[str, float] = field(default_factory=dict[str, float])

    def earn(self, target: str, share: float) -> None:
        """Note a first attempt."""
        self._saved[target] = min(self._saved.get(target, self.most) + share, self.most)

    def spend(self, target: str) -> bool:
        """Take an extra attempt; say whether there was one."""
        left = self._saved.get(target, self.most)
        if left < 1:
            return False
        self._saved[target] = left - 1
        return True
