"""The Key Vault data plane for keys: one module per concern, ``gate`` in front."""
