"""Azure Resource Manager as far as a client of Key Vault needs it."""
