"""Questions to the ledger: costs and traces; nothing is written."""
