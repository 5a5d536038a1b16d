"""Vectors as text for the ledger, and how alike two of them are."""

import base64
import math
from array import array
from collections.abc import Sequence
from operator import mul


def packed(vector: Sequence[float]) -> str:
    """Write a vector of length 1 in the direction of another: float32, base64.

    Raises:
        ValueError: a number of it is not finite.
    """
    if not all(map(math.isfinite, vector)):
        raise ValueError("a number of the vector is not finite")
    length = math.sqrt(sum(map(mul, vector, vector))) or 1.0
    return base64.b64encode(array("f", (number / length for number in vector)).tobytes()).decode()


def unpacked(text: str) -> Sequence[float]:
    """Read it again."""
    return array("f", base64.b64decode(text))


def likeness(one: Sequence[float], other: Sequence[float]) -> float:
    """Give the cosine of two vectors of length 1; 0 if they are not of the same space."""
    return sum(map(mul, one, other)) if len(one) == len(other) else 0.0
