"""What is recorded before a vault is changed: the journal of mutating calls, and the ledger of ephemeral KEKs."""
