"""Rows of operations: chosen values of options."""

from __future__ import annotations

from django.db import models


class StoredOption(models.Model):
    """A chosen value of an option (``kmes.core.options``); without a row the default holds."""

    name = models.CharField(max_length=64, primary_key=True)
    value = models.IntegerField()
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)

    def __str__(self) -> str:
        return f"{self.name} = {self.value}"
