"""Many trials, and the ledger of their results."""
