"""The control API under ``/_emulator/``, by which tests and people steer the stand-in."""
