"""Where runs come from that nobody asked for to have their result."""

from engine.eval_records import EXPERIMENT, IMPORT, JUDGE
from engine.replay_records import REPLAY

FOR_NOBODY = (REPLAY, EXPERIMENT, JUDGE)
"""What `runs.origin` says of them."""

NO_TRAFFIC = (*FOR_NOBODY, IMPORT)
"""Those and what was recorded elsewhere: they tell nothing of how the runs that people ask for go here."""
