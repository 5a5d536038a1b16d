"""Who tells workers that runs may be taken: hints, and no more, since the ledger decides."""
