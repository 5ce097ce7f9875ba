"""Which release this code is. The one place that says it to programs; pyproject.toml says it to tools."""

VERSION = "0.1.0"
