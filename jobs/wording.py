"""The console's sentences about jobs, to the letter of KMES.md ("What happens").

A job's record keeps them in English, as all that is kept (``kmes.core.language``): they are not translated.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.choices import JobKind


@dataclass(frozen=True)
class Wording:
    """One verb in the forms the job's log needs."""

    progressive: str
    past: str
    infinitive: str

    def start(self, count: int) -> str:
        """Return the first line of the job's log."""
        return f"{self.progressive} {count} HSM protected key(s)..."

    def one_done(self, name: str) -> str:
        """Return the line about one key that went well."""
        return f"{self.past} HSM protected key {name}"

    def all_done(self, count: int) -> str:
        """Return the last line of a job that went well."""
        return f"Successfully {self.past.lower()} {count} HSM protected key(s)"

    def one_failed(self, name: str, reason: str) -> str:
        """Return the line about one key that failed; the reason says what to do."""
        return f"Failed to {self.infinitive} HSM protected key {name}: {reason}"


WORDING: dict[str, Wording] = {
    JobKind.CREATE: Wording("Creating", "Created", "create"),
    JobKind.SYNCHRONIZE: Wording("Synchronizing", "Synchronized", "synchronize"),
    JobKind.ROTATE: Wording("Rotating", "Rotated", "rotate"),
    JobKind.SET_ENABLED: Wording("Updating", "Updated", "update"),
    JobKind.CLOUD_DELETE: Wording("Deleting", "Deleted", "delete"),
    JobKind.CLOUD_RECOVER: Wording("Recovering", "Recovered", "recover"),
    JobKind.CLOUD_PURGE: Wording("Purging", "Purged", "purge"),
    JobKind.DESTROY: Wording("Destroying", "Destroyed", "destroy"),
    JobKind.CHECK_DRIFT: Wording("Checking", "Checked", "check"),
    JobKind.REPAIR: Wording("Repairing", "Repaired", "repair"),
    JobKind.TEST_CONNECTION: Wording("Testing", "Tested", "test"),
    JobKind.LIST_VAULTS: Wording("Listing", "Listed", "list"),
    JobKind.SELF_TEST: Wording("Testing", "Tested", "test"),
    JobKind.PROVE: Wording("Proving", "Proved", "prove"),
    JobKind.SIGN_REPORT: Wording("Signing", "Signed", "sign"),
}
