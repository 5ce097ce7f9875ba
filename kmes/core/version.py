"""The release of this code, for programs; pyproject.toml has it for tools."""

VERSION = "0.1.0"
