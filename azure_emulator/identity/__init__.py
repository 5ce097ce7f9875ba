"""The Microsoft Entra side: tenants, clients, tokens and the endpoints that hand them out."""
