"""Cloud credentials and the vaults reached through them; ``cloudcreds.azure`` speaks to Azure."""
