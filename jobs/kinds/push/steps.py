"""What synchronize and rotate have in common in their specs: the steps of a push, its words, what a cancel leaves."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.spec import Step, Wording

# Both say it of each key: a rotation's visible work is the push of its new key.
SYNCHRONIZING = Wording("Synchronizing", "Synchronized", "synchronize")
FAILPOINTS = "push"
PUSH_STEPS = (
    Step("preflight", gettext_lazy("Check vault")),
    Step("create_kek", gettext_lazy("Create ephemeral KEK")),
    Step("wrap_key", gettext_lazy("Wrap key in the HSM")),
    Step("import_key", gettext_lazy("Import key")),
    Step("verify_import", gettext_lazy("Verify import")),
    Step("record_version", gettext_lazy("Record version")),
    Step("discard_kek", gettext_lazy("Discard ephemeral KEK")),
)


def left_by_push() -> str:
    """Say what a cancelled push leaves behind."""
    return _(
        "Keys imported by then stay in the vault and here. The ephemeral KEK is deleted; "
        "should that fail, the hourly sweep removes it, and until then it can only import."
    )
