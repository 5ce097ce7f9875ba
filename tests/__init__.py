"""Tests, one folder per package; `make test` runs them all."""
