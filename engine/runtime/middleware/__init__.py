"""What surrounds a step or a call, one concern a file."""
