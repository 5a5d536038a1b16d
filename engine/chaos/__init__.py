"""Kills a workflow's processes on purpose, resumes its runs, and says what was lost, repeated or overspent."""
