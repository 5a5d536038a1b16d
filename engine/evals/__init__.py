"""Evaluation: what became of runs, cases made of them, scores, and whether a change may go out."""
