"""A strict, independent stand-in for Microsoft Entra, Azure Resource Manager and Azure Key Vault.

Owns everything below ``python -m azure_emulator``. It checks the blobs that a BYOK
client sends, so it must share no code with that client: it imports only the standard
library, Starlette, uvicorn and cryptography.
"""
