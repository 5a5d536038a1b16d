"""Alarms: figures of the ledger that are watched, who is told when they go wrong, and what changed most."""
