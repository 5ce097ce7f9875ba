"""The second factor of a sign-in: authenticator apps (TOTP), passkeys and recovery codes. docs/access.md says what is asked when."""
