"""What a self-certification checks, in order, and what the checks amount to. Knows no job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.certifications.models import CertificationStep
from jobs.choices import CertificationState, CheckState


@dataclass(frozen=True)
class Check:
    """One step of the checklist.

    Attributes:
        is_cleanup: whether it is done also after a failure.
        forgives: whether a missing key permission makes it "not proven" instead of failed.

    """

    name: str
    title: str | Promise
    proves: str | Promise
    is_cleanup: bool = False
    forgives: bool = False


CHECKS: tuple[Check, ...] = (
    Check("create", _("Create a key"), _("The HSM makes keys.")),
    Check("push", _("Push the key"), _("The vault accepts the wrapped key, and the public halves match.")),
    Check(
        "prove",
        _("Verify by a signature"),
        _("The vault holds the private half that was made in the HSM."),
        forgives=True,
    ),
    Check("rotate", _("Rotate"), _("A new key becomes the active version.")),
    Check(
        "prove_rotated", _("Verify the new version"), _("The active version is the new key, and works."), forgives=True
    ),
    Check("disable", _("Disable the version"), _("A version can be taken out of use.")),
    Check(
        "prove_disabled",
        _("Verify that it is refused"),
        _("The vault refuses every use of a disabled version."),
        forgives=True,
    ),
    Check("enable", _("Enable it again"), _("A version can be put back into use.")),
    Check("delete", _("Delete the Azure key"), _("The key can be withdrawn; the keys here stay.")),
    Check("recover", _("Recover it"), _("A deletion can be undone."), forgives=True),
    Check("prove_recovered", _("Verify after the recovery"), _("The recovered version works."), forgives=True),
    Check("remove", _("Clean up: delete"), _("Nothing live stays in the vault."), is_cleanup=True),
    Check(
        "purge",
        _("Clean up: purge"),
        _("Nothing of it stays in the vault, where that is allowed."),
        is_cleanup=True,
        forgives=True,
    ),
    Check("destroy", _("Clean up: destroy here"), _("The temporary key material here is erased."), is_cleanup=True),
    Check(
        "report",
        _("Look once more, and sign the report"),
        _("What is left is known, and the report can't be changed unseen."),
        is_cleanup=True,
    ),
)
BY_NAME = {check.name: check for check in CHECKS}


def verdict(steps: Iterable[CertificationStep]) -> CertificationState:
    """Return what the steps so far amount to."""
    states = {step.state for step in steps}
    if CheckState.FAILED in states:
        return CertificationState.FAILED
    return CertificationState.INCOMPLETE if CheckState.UNPROVEN in states else CertificationState.PASSED
