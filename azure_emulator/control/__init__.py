"""The control API under ``/_emulator/``, with which tests and people configure the stand-in."""
