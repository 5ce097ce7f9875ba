"""Microsoft Entra: tenants, clients, tokens and the endpoints that issue them."""
