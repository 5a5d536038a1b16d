"""Replays: recorded runs again, one or many, as they were or with a change."""
