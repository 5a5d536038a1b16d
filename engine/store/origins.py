"""Where runs come from that nobody asked for to have their result."""

from engine.eval_records import EXPERIMENT, JUDGE
from engine.replay_records import REPLAY

FOR_NOBODY = (REPLAY, EXPERIMENT, JUDGE)
"""What `runs.origin` says of them."""
