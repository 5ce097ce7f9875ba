"""Company sign-on: users sign in at the company's identity provider, by OpenID Connect (docs/company-sign-on.md)."""
