"""The ledger on SQLAlchemy Core: SQLite and PostgreSQL."""
