"""Workflows that come with flowledger, one folder each."""
