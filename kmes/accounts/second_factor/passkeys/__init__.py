"""Passkeys (WebAuthn): added by their user, used as second factor, to sign in without a password, and for step-up."""
