"""Statistics of scores and outcomes: pure functions of numbers, the same on every machine."""
