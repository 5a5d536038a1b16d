"""How long a lease is: a choice of the deployment, which connections carry to whoever judges by it."""

import math

from sqlalchemy import Connection

from engine.errors import ConfigurationError

LEASE_SECONDS = 8.0
"""A worker that has not beaten for so long is taken for dead; others look every two seconds, so within ten it is."""

LEASE_OPTION = "lease_seconds"
"""The execution option of connections that says it."""

_LEAST_SECONDS, _MOST_SECONDS = 1.0, 900.0  # four beats at the pace of the writer; far less than a gone worker is kept
_BEATS_OF_A_LEASE = 4
_LONGEST_BEAT_SECONDS = 2.0  # so that those with a shorter lease, as while it is changed, see one with a longer beat


def checked_lease(seconds: float | str) -> float:
    """Give the seconds of a lease that was chosen.

    Raises:
        ConfigurationError: it is no number, or one that no worker could keep.
    """
    try:
        found = float(seconds)
    except ValueError:
        found = math.nan
    if not _LEAST_SECONDS <= found <= _MOST_SECONDS:
        raise ConfigurationError(
            f"lease_seconds {seconds!r} is no lease: give seconds from {_LEAST_SECONDS:g} to {_MOST_SECONDS:g}, "
            f"as workers beat {_BEATS_OF_A_LEASE} times in a lease and may miss a few"
        )
    return found


def beat_seconds(lease_seconds: float) -> float:
    """Say how long a worker rests between beats, and others between looks for the dead."""
    return min(_LONGEST_BEAT_SECONDS, lease_seconds / _BEATS_OF_A_LEASE)


def lease_of(connection: Connection) -> float:
    """Give the lease, in seconds, of the deployment that a connection is of."""
    return float(connection.get_execution_options()[LEASE_OPTION])
