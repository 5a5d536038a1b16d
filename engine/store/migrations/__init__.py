"""Migrations of the ledger, one file a version."""
