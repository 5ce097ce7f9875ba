"""Forms of Approvals: what somebody decides, and what a policy asks for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from jobs.approvals.models import MAX_REASON, Verdict
from jobs.confirmation.forms import StartForm
from jobs.kinds.set_approval_policy.spec import HIGHEST_LEAST, LONGEST_HOURS, MOST_APPROVALS
from kmes.accounts.assignments.forms import ScopeForm
from kmes.accounts.roles.selectors import role_names
from kmes.accounts.second_factor.forms import passkey_field

# Plans that are shown below each other and approved by one act.
MOST_IN_A_BATCH = 20
# A job's code, a digest, and what stands between.
_LONGEST_SEEN = 16 + 64 + 2


class DecisionForm(forms.Form):
    """Asks for a decision on the plan whose digest was shown."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)
    # Breaking glass has a page of its own.
    verdict = forms.ChoiceField(choices=[(each.value, each.label) for each in (Verdict.APPROVE, Verdict.REFUSE)])
    reason = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The requester sees it, and the log keeps it. Needed to refuse."),
    )
    passkey = passkey_field(required=False)

    def __init__(self, data: QueryDict | None = None, *, digest: str) -> None:
        super().__init__(data, initial={"seen": digest})
        # The script that asks the passkey presses no button.
        self.fields["verdict"].required = not self.data.get("passkey")

    def clean(self) -> dict[str, str]:
        """Ask for the reason of a refusal."""
        found: dict[str, str] = self.cleaned_data
        if found.get("passkey"):
            found["verdict"] = Verdict.APPROVE
        if found.get("verdict") == Verdict.REFUSE and not found.get("reason", "").strip():
            self.add_error("reason", forms.ValidationError(_("Give a reason for the refusal."), code="required"))
        return found


class BatchForm(forms.Form):
    """Asks for the approval of the plans whose digests were shown, each as "code:digest"."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=MOST_IN_A_BATCH * _LONGEST_SEEN)
    reason = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("For all of them. The requesters see it, and the log keeps it."),
    )
    passkey = passkey_field(required=False)

    def clean_seen(self) -> dict[str, str]:
        """Return the digests by the codes of the jobs."""
        found = dict(each.partition(":")[::2] for each in self.cleaned_data["seen"].split())
        if len(found) > MOST_IN_A_BATCH:
            raise forms.ValidationError(_("Too many requests at once."), code="too_many")
        return found


class BreakGlassForm(forms.Form):
    """Asks why somebody goes on without approvals on the plan whose digest was shown."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=64)
    reason = forms.CharField(
        label=_("What the emergency is"),
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("All administrators are alarmed and see it, and the log keeps it."),
    )
    passkey = passkey_field(required=False)

    def __init__(self, data: QueryDict | None = None, *, digest: str) -> None:
        super().__init__(data, initial={"seen": digest})


class ReviewForm(forms.Form):
    """Asks a reviewer what they found."""

    comment = forms.CharField(
        label=_("What the review found"),
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("It closes the review, and the log keeps it."),
    )


class PolicyForm(StartForm):
    """Asks how many users of which role approve an action."""

    approvals = forms.TypedChoiceField(
        label=_("Approvals needed"),
        coerce=int,
        choices=[
            (0, _("none: users with the right can act alone")),
            *((n, str(n)) for n in range(1, MOST_APPROVALS + 1)),
        ],
        help_text=_("The requester's own never counts."),
    )
    role = forms.ChoiceField(label=_("By users with the role"), choices=lambda: list(role_names().items()))
    expires_hours = forms.IntegerField(
        label=_("Expires after (hours)"),
        min_value=1,
        max_value=LONGEST_HOURS,
        help_text=_("A request that is not approved and run by then is canceled."),
    )
    least = forms.IntegerField(
        label=_("Only from this many keys or versions"),
        min_value=1,
        max_value=HIGHEST_LEAST,
        required=False,
        help_text=_("Counts what the requester did without approvals in the last 24 hours, too. 1: always."),
    )
    needs_passkey = forms.BooleanField(
        label=_("Only approvals signed by a passkey count"),
        required=False,
        help_text=_("Users who have a passkey approve with it in any case."),
    )
    allows_break_glass = forms.BooleanField(
        label=_("Allow break glass"),
        required=False,
        help_text=_(
            "In an emergency requesters with the right “Break Glass:Use” go on alone. All administrators are alarmed, "
            "and another one has to review it."
        ),
    )

    def name_scope(self) -> None:
        """Say of a policy for a scope what no approvals mean: the one that holds everywhere goes on."""
        field: Any = self.fields["approvals"]
        field.choices = [(0, _("none: ends the policy for this scope")), *field.choices[1:]]


class PolicyForScopeForm(ScopeForm, PolicyForm):
    """Asks for one scope, and how many users of which role approve an action there."""

    def name_scope(self) -> None:
        """Leave out no approvals: a policy that is added asks for some."""
        field: Any = self.fields["approvals"]
        field.choices = field.choices[1:]
