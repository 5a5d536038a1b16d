"""What the ledger gives to others: traces in OpenTelemetry's form, and tables as files."""
