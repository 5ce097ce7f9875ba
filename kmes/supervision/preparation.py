"""The one-time preparation (``kmes.supervision.prepare``) as the supervisor sees it: one process, watched and read."""

from __future__ import annotations

import os
import subprocess

from kmes.supervision.child import as_user
from kmes.supervision.instance import ROOT, StartError
from kmes.supervision.processes import ProcessSpec


class Preparation:
    """A running preparation. It writes to a pipe of its own once the database is up to date."""

    def __init__(self, spec: ProcessSpec) -> None:
        self._is_ended_by_us = False
        self._told, tell = os.pipe()
        os.set_blocking(self._told, False)
        try:
            self.process = subprocess.Popen(
                (*spec.command, "--database-ready-fd", str(tell)),
                env=dict(spec.environment),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(tell,),
                text=True,
                **as_user(spec.user),
            )
        finally:
            os.close(tell)

    def is_database_ready(self) -> bool:
        """Say, once, that the database is up to date; what follows concerns the device and the administrators."""
        try:
            return bool(os.read(self._told, 1))
        except BlockingIOError:
            return False

    def has_ended(self) -> bool:
        """Say whether the process has ended, in whatever way."""
        return self.process.poll() is not None

    def end(self) -> None:
        """End it by force; this counts as no failure of its own."""
        self._is_ended_by_us = True
        self.process.kill()

    def read(self) -> str:
        """Wait for its end; returns what it has to say to the person at the keyboard.

        Raises StartError with its sentence when it failed.
        """
        notes, errors = self.process.communicate()
        os.close(self._told)
        if self.process.returncode and not self._is_ended_by_us:
            lines = errors.strip().splitlines()
            message = lines[-1] if lines else f"The preparation ended with code {self.process.returncode}."
            raise StartError(message)
        return notes
