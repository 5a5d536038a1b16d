"""The kinds of node, one file each: its data and its behaviour together."""
