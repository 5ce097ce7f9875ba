"""The Django project: settings, wiring, and the shared layers (core, ui, accounts, dashboard)."""
