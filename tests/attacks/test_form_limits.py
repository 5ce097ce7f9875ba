"""What is typed into a form fits where it goes: each text, number and date of each form is refused or fitted there.

A new form or text field has to be named here, with the column that keeps it or with the most that it takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.db.models import Model
from django.http import QueryDict
from django.test import RequestFactory
from django.urls import get_resolver
from django.utils.timezone import now

from cloudcreds.choices import CloudName
from cloudcreds.fields import MAX_NAME as MAX_CREDENTIAL_NAME
from cloudcreds.forms import CredentialForm
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.sign_in_form import SignInForm as CredentialProofForm
from jobs.approvals.forms import BatchForm, BreakGlassForm, DecisionForm, PolicyForm, PolicyForScopeForm, ReviewForm
from jobs.approvals.models import ApprovalDecision, BreakGlassReview
from jobs.certifications.forms import CertificationForm
from jobs.confirmation.forms import MAX_NAMES_TEXT, ConnectionTestForm, NamesForm, PatternForm, StartForm, TypedNameForm
from jobs.kinds.make_certificate.spec import CertificateForm
from jobs.kinds.set_tags.spec import TagsForm
from jobs.pages import removal
from jobs.pages.confirmations import TargetForm
from jobs.pages.filters import JobFilterForm
from jobs.pages.reports import RotationForm, UnmanagedForm
from keygroups.dialog_fields import GroupFields, StorageForm
from keygroups.fields import MAX_NOTES, MAX_TAG
from keygroups.forms import GroupForm
from keygroups.models import Key, KeyGroup
from keygroups.reports import ExpiringForm, KeyAgeForm
from keygroups.reschedule_views import RescheduleForm
from keygroups.rotation_views import ManyRotationForm
from kmes.accounts.assignments.forms import RoleForScopeForm, ScopeForm
from kmes.accounts.company_sign_on.forms import MAX_FACTOR_VALUES_TEXT, MAX_GROUPS_TEXT, MAX_SECRET, ProviderForm
from kmes.accounts.company_sign_on.models import SignOnProvider
from kmes.accounts.dual_login.forms import PolicyForm as DualLoginForm
from kmes.accounts.dual_login.forms import RefusableForm, SecondForm
from kmes.accounts.dual_login.policy import Policy
from kmes.accounts.forms import MAX_PASSWORD, OwnPasswordForm, SignInForm, UserForm
from kmes.accounts.models import CustomRole, Passkey, RoleAssignment, User
from kmes.accounts.rights import Role
from kmes.accounts.roles.forms import RoleForm
from kmes.accounts.second_factor.forms import (
    MAX_ANSWER,
    MAX_CODE,
    MAX_SEAL,
    AppForm,
    CodeForm,
    PasswordMixin,
    ProofForm,
)
from kmes.accounts.second_factor.passkeys.forms import NewPasskeyForm, PasskeyForm
from kmes.dashboard.attention.forms import AcknowledgeForm
from kmes.dashboard.models import Acknowledgement
from kmes.dashboard.setup.forms import FirstPushForm, VaultForm
from kmes.operations.forms import OptionsForm
from kmes.ui.filters import FilterForm
from kmes.ui.forms import PreferencesForm, SavedViewForm
from kmes.ui.models import SavedView
from kmes.ui.tables import MAX_SEARCH
from logging_reports.filters import JumpForm, LogFilterForm, SaveFilterForm
from logging_reports.forwarding.forms import (
    MAX_CERTIFICATES,
    MAX_EVENTS_TEXT,
    MAX_TOKEN,
    DestinationForm,
    SendAgainForm,
)
from logging_reports.forwarding.models import ForwardingDestination
from logging_reports.models import Channel, LogEntry, SavedFilter
from logging_reports.notices.choices import ChannelKind
from logging_reports.notices.forms import ChannelForm, RulesForm
from logging_reports.reports.activity import ActivityForm
from logging_reports.reports.forms import ReportForm
from tests.cloudcreds import builders as credentials
from tests.keygroups import builders

pytestmark = pytest.mark.django_db
Limit = int | tuple[type[Model], str]
PACKAGES = ("kmes", "jobs", "keygroups", "cloudcreds", "hsm", "logging_reports")
# Where each text ends: the column, or the most characters of one that no column keeps.
TEXTS: dict[type[forms.BaseForm], dict[str, Limit]] = {
    CredentialForm: {
        "name": (CloudCredential, "name"),
        "tenant_id": (CloudCredential, "tenant_id"),
        "client_id": (CloudCredential, "client_id"),
        "secret_id": (CloudCredential, "secret_id"),
        "authority_url": (CloudCredential, "authority_url"),
        "arm_url": (CloudCredential, "arm_url"),
        "secret": 512,
        "certificate_password": 256,
    },
    GroupForm: {
        "name": (KeyGroup, "name"),
        "owner": (KeyGroup, "owner"),
        "azure_name": (KeyGroup, "azure_name"),
        "vault_url": (KeyVault, "url"),
        "notes": MAX_NOTES,
        "tags": MAX_TAG,
    },
    # Each name is checked by the service that makes the key.
    NamesForm: {"name": MAX_NAMES_TEXT},
    PatternForm: {"pattern": (Key, "name")},
    TypedNameForm: {"typed": MAX_CREDENTIAL_NAME},
    DecisionForm: {"seen": 64, "reason": (ApprovalDecision, "reason"), "passkey": MAX_ANSWER},
    BatchForm: {"seen": 1640, "reason": (ApprovalDecision, "reason"), "passkey": MAX_ANSWER},
    BreakGlassForm: {"seen": 64, "reason": (ApprovalDecision, "reason"), "passkey": MAX_ANSWER},
    ReviewForm: {"comment": (BreakGlassReview, "comment")},
    removal.RemovalForm: {"typed": MAX_CREDENTIAL_NAME},
    TagsForm: {"tags": MAX_TAG},
    FirstPushForm: {"name": (KeyGroup, "name")},
    VaultForm: {"vault": (KeyVault, "url")},
    SecondForm: {"username": (User, "username"), "password": MAX_PASSWORD},
    RoleForm: {name: (CustomRole, name) for name in ("name", "description")},
    **dict.fromkeys(
        (ScopeForm, RoleForScopeForm, PolicyForScopeForm),
        dict.fromkeys(("vault", "group", "tag"), (RoleAssignment, "scope_value")),
    ),
    UserForm: {name: (User, name) for name in ("username", "first_name", "last_name", "email")},
    SignInForm: {"username": (User, "username"), "password": MAX_PASSWORD},
    OwnPasswordForm: dict.fromkeys(("old_password", "new_password1", "new_password2"), MAX_PASSWORD),
    AcknowledgeForm: {"reason": (Acknowledgement, "reason"), "seen": 64},
    ProofForm: {"code": MAX_CODE, "passkey": MAX_ANSWER},
    PasskeyForm: {"passkey": MAX_ANSWER},
    NewPasskeyForm: {"name": (Passkey, "name"), "passkey": MAX_ANSWER, "password": MAX_PASSWORD},
    AppForm: {"code": MAX_CODE, "token": MAX_SEAL, "password": MAX_PASSWORD},
    ProviderForm: {
        **{name: (SignOnProvider, name) for name in ("name", "issuer", "client_id", "scopes")},
        **{name: (SignOnProvider, name) for name in ("username_claim", "groups_claim")},
        "client_secret": MAX_SECRET,
        "factor_values": MAX_FACTOR_VALUES_TEXT,
        **{f"groups_{role}": MAX_GROUPS_TEXT for role in Role.values},
    },
    SavedViewForm: {"name": (SavedView, "name")},
    SaveFilterForm: {"name": (SavedFilter, "name")},
    ChannelForm: {"name": (Channel, "name"), "url": (Channel, "url"), "recipients": 320},
    DestinationForm: {
        "name": (ForwardingDestination, "name"),
        "host": (ForwardingDestination, "host"),
        "path": (ForwardingDestination, "path"),
        "token": MAX_TOKEN,
        "ca_certificates": MAX_CERTIFICATES,
        "events": MAX_EVENTS_TEXT,
    },
    LogFilterForm: {
        "q": 200,
        "group": (LogEntry, "group"),
        "key": (LogEntry, "key"),
        "actor": (LogEntry, "actor_name"),
        "job": 36,
    },
    JobFilterForm: {"q": 200, "group": 128},
    **{key: {"q": 160} for key in (ActivityForm, RotationForm, UnmanagedForm, ExpiringForm, KeyAgeForm)},
}
NO_TEXTS = {
    *(
        StartForm,
        PolicyForm,
        DualLoginForm,
        ConnectionTestForm,
        CertificateForm,
        CertificationForm,
        TargetForm,
        StorageForm,
        OptionsForm,
        ManyRotationForm,
        RescheduleForm,
    ),
    *(PreferencesForm, JumpForm, RulesForm, ReportForm, SendAgainForm),
}
# Only their subclasses are shown.
BASES = {FilterForm, CredentialProofForm, GroupFields, CodeForm, PasswordMixin, RefusableForm}
ODD_TEXTS = (
    *("x" * length for length in (37, 65, 129, 151, 256, 301, 513, 2001, 200_000)),
    *("a\0b", "\0", "ü" * 400, "𝔘" * 200, "a" * 300 + "@example.com", "a@" + "b." * 130 + "example"),
    *(
        "https://" + "v" * 400 + ".vault.azure.net",
        "https://v.vault.azure.net/" + "x" * 300,
        "x=" + "y" * 300,
        "ﷺ" * 100,
    ),
    *(
        "https://127.0.0.1:1/a\0b",
        "https://127.0.0.1:1/" + "x" * 300,
        "e\u0301" * 80,
        " " * 5000 + "x",
        "x=y\0",
        "x@y.example\n" * 3,
    ),
)
# What a filter shows instead of a choice that it does not know.
DEFAULTS = (("show", "all"), ("service", "azure"))
ODD_NUMBERS = ("-1", "2147483648", "-2147483649", "9223372036854775808", "9" * 30, "9" * 5000, "NaN", "1e9", "٣", "1.0")
ODD_DATES = (
    "0001-01-01",
    "9999-12-31",
    "9999-12-31 23:59:59",
    "0001-01-01 00:00",
    "10000-01-01",
    "9" * 30,
    "\0",
    "2026-02-30",
)


def form_classes() -> set[type[forms.BaseForm]]:
    # Every form is imported by a view, and every view by the addresses.
    for each in get_resolver().url_patterns:
        getattr(each, "url_patterns", None)
    found: set[type[forms.BaseForm]] = set()
    unseen: list[type[forms.BaseForm]] = [forms.BaseForm]
    while unseen:
        kind = unseen.pop()
        unseen += kind.__subclasses__()
        if kind.__module__.partition(".")[0] in PACKAGES:
            found.add(kind)
    return found


def test_every_form_is_listed():
    assert form_classes() == {*TEXTS, *NO_TEXTS, *BASES}


class Makers:
    """Makes a form of each class from what was sent, with rows behind it where it needs some."""

    def __init__(self, user: Any) -> None:
        self.user = user
        self.credential = builders.make_credential()
        self.vault = builders.make_vault(self.credential)
        self.group = builders.make_group(self.vault)

    def valid(self, kind: type[forms.BaseForm]) -> dict[str, Any]:
        if kind is CredentialForm:
            return credentials.typed()
        if kind is GroupForm:
            return builders.typed(self.credential, name="another")
        return {}

    def make(self, kind: type[forms.BaseForm], sent: dict[str, Any]) -> Any:
        data = QueryDict(mutable=True)
        for name, value in {**self.valid(kind), **sent}.items():
            data.setlist(name, value if isinstance(value, list) else [value])
        given: dict[type[forms.BaseForm], dict[str, Any]] = {
            ConnectionTestForm: {"credential": self.credential},
            DecisionForm: {"digest": ""},
            BreakGlassForm: {"digest": ""},
            TypedNameForm: {"expected": "x" * 37},
            removal.RemovalForm: {
                "group": self.group,
                "scopes": removal.scopes(self.group, self.user),
                "ways": removal.ways(self.group, self.user),
                "wanted": "local",
            },
            TagsForm: {"version": None},
            **{key: {"viewer": self.user} for key in (UserForm, RoleForm, RoleForScopeForm)},
            DualLoginForm: {"policy": Policy()},
            ChannelForm: {"kind": ChannelKind.WEBHOOK},
        }
        if kind is SignInForm:
            return SignInForm(None, data)
        if kind is OwnPasswordForm:
            return OwnPasswordForm(self.user, data)
        if kind in (AppForm, NewPasskeyForm):
            request = RequestFactory().post("/")
            request.user = self.user
            return kind(request, data, asks_password=True)
        return kind(data, **given.get(kind, {}))

    def all_of(self, kind: type[forms.BaseForm], sent: dict[str, Any]) -> Iterator[Any]:
        yield self.make(kind, sent)
        if kind is ChannelForm:
            yield ChannelForm(QueryDict(urlencode(sent)), kind=ChannelKind.MAIL)
        if kind is CredentialForm:
            custom = {
                "cloud": CloudName.CUSTOM,
                "authority_url": "https://127.0.0.1:1",
                "arm_url": "https://127.0.0.1:1",
            }
            yield self.make(kind, {**custom, **sent})


@pytest.fixture
def makers(django_user_model):
    return Makers(django_user_model.objects.create_user("ada", role="admin"))


def by_name(kind: type[forms.BaseForm]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


SHOWN = sorted({*TEXTS, *NO_TEXTS}, key=by_name)


def texts_in(value: Any) -> list[str]:
    if hasattr(value, "reveal"):
        return [value.reveal()]
    if isinstance(value, dict):
        return [text for pair in value.items() for one in pair for text in texts_in(one)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in texts_in(one)]
    return [value] if isinstance(value, str) else []


def most(limit: Limit) -> int:
    if isinstance(limit, int):
        return limit
    model, column = limit
    return int(model._meta.get_field(column).max_length)


@pytest.mark.parametrize("kind", SHOWN, ids=by_name)
def test_every_text_of_a_form_is_refused_or_fits(makers, kind):
    listed = TEXTS.get(kind, {})
    names = {
        name
        for form in makers.all_of(kind, {})
        for name, field in form.fields.items()
        if isinstance(field, forms.CharField) and not isinstance(field, forms.UUIDField)
    }
    assert names == set(listed), "name each text of a form in TEXTS"
    for name, limit in listed.items():
        for text in ODD_TEXTS:
            for form in makers.all_of(kind, {name: text}):
                if name not in form.fields or not (form.is_valid() or name not in form.errors):
                    continue
                for kept in texts_in(form.cleaned_data.get(name)):
                    assert len(kept) <= most(limit), (name, text[:40], len(kept))
                    assert "\0" not in kept, (name, text[:40])


@pytest.mark.parametrize("kind", SHOWN, ids=by_name)
def test_every_number_of_a_form_is_refused_or_fits_a_column(makers, kind):
    for name, field in makers.make(kind, {}).fields.items():
        if not isinstance(field, forms.IntegerField):
            continue
        for text in ODD_NUMBERS:
            form = makers.make(kind, {name: text})
            kept = form.cleaned_data.get(name) if form.is_valid() or name not in form.errors else None
            assert kept is None or 0 <= kept <= 2**31 - 1, (name, text)


@pytest.mark.parametrize("kind", SHOWN, ids=by_name)
def test_every_date_of_a_form_is_refused_or_leaves_room_to_count(makers, kind):
    for name, field in makers.make(kind, {}).fields.items():
        if not isinstance(field, forms.DateField | forms.DateTimeField):
            continue
        for text in ODD_DATES:
            form = makers.make(kind, {name: text})
            kept = form.cleaned_data.get(name) if form.is_valid() or name not in form.errors else None
            if isinstance(kept, datetime):
                kept = kept.date()
            assert kept is None or date(1900, 1, 1) < kept < date(9000, 1, 1), (name, text)


@pytest.mark.parametrize("kind", SHOWN, ids=by_name)
def test_every_choice_and_id_of_a_form_is_refused_when_it_is_none(makers, kind):
    kinds = (forms.ChoiceField, forms.ModelChoiceField, forms.UUIDField)
    for name, field in makers.make(kind, {}).fields.items():
        if not isinstance(field, kinds):
            continue
        for text in ("a\0b", "x" * 5000, "9" * 30, "{", "\ufffd", str(now())):
            form = makers.make(kind, {name: text})
            kept = form.cleaned_data.get(name) if form.is_valid() else None
            assert kept in (None, "", []) or (name, kept) in DEFAULTS, (name, text)


def test_a_search_is_cut():
    assert MAX_SEARCH <= 200
