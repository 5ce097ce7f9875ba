"""A strict, independent stand-in for Microsoft Entra, Azure Resource Manager and Azure Key Vault.

Owns everything below ``python -m azure_emulator``. It judges the blobs a BYOK client
sends, so it must never import a line of that client: only the standard library,
Starlette, uvicorn and cryptography are used here.
"""
