"""The HTTP API: runs are queued, followed, answered and ended over HTTP."""
