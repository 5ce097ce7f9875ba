"""The Key Vault data plane for keys: one module per concern; ``service`` checks requests first."""
