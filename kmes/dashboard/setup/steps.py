"""The five steps of the wizard, read from the rows: what was checked, when, and the remedy. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse
from django.utils.translation import gettext as _

from cloudcreds.choices import SignIn, VaultTier
from cloudcreds.models import CloudCredential, KeyVault
from cloudcreds.selectors import best_first, describe_sign_in_expiry
from hsm.models import HsmDevice
from keygroups.choices import LIVE_VERSION_STATES, KeyUsage
from keygroups.models import CloudVersion
from kmes.accounts.dual_login.policy import read_policy
from kmes.accounts.models import User
from kmes.accounts.rights import Right, Role
from kmes.accounts.second_factor.services import with_factor
from kmes.dashboard import selectors
from kmes.dashboard.setup.findings import Finding, Link, SetupStep, link_to
from logging_reports.choices import Service
from logging_reports.models import LogEntry

PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - the name of an event


def read_steps() -> list[SetupStep]:
    """Return the five steps by the present rows."""
    return build_steps(selectors.find_device(), selectors.list_credentials(), selectors.list_vaults())


def build_steps(
    device: HsmDevice | None, credentials: list[CloudCredential], vaults: list[KeyVault]
) -> list[SetupStep]:
    """Return the five steps from device, credentials and vaults that were read already."""
    return [
        _device_step(device),
        _people_step(),
        _credential_step(credentials, vaults),
        _vault_step(vaults),
        _push_step(),
    ]


def is_set_up() -> bool:
    """Return whether the set-up was done once: a key came into a vault, which takes everything before it."""
    return CloudVersion.objects.exclude(azure_version="").order_by().exists()


def next_step(steps: list[SetupStep]) -> SetupStep | None:
    """Return the first step that is not done; None when all are."""
    return next((step for step in steps if not step.is_done), None)


def return_query(number: int) -> str:
    """Return the query that leads back to a step from the page of another app."""
    return urlencode({"next": reverse("setup:step", args=[number])})


# --- 1 ---------------------------------------------------------------------------------------
def _device_step(device: HsmDevice | None) -> SetupStep:
    return SetupStep(
        1,
        _("HSM device"),
        _("The keys are made and wrapped in a device. One is designated: only it may push key material."),
        _findings_of(device) if device else [_no_device()],
    )


def _no_device() -> Finding:
    return Finding(
        _("No device was found."),
        ok=False,
        remedy=_(
            "Start a cloud worker on the host that has the device. KMES_HSM_MODULE names its PKCS#11 library,"
            " KMES_HSM_TOKEN_LABEL the token; then run “manage.py hsm_init” there."
        ),
    )


def _findings_of(device: HsmDevice) -> list[Finding]:
    names = {"name": device.label, "serial": device.serial, "model": device.model}
    serves = device.availability == "ok"
    self_test = link_to(_("Run self-test"), "jobs:start", "self_test", right=Right.DEVICE_MANAGE, query=return_query(1))
    designate = link_to(_("Designate"), "hsm:designate", device.pk, right=Right.DEVICE_MANAGE)
    return [
        Finding(_("Device %(name)s found: %(model)s, serial %(serial)s.") % names, ok=True, at=device.registered_at),
        Finding(
            _("It is online.") if serves else _("It is unavailable (%(code)s).") % {"code": device.availability},
            ok=serves,
            at=device.last_seen_at,
            remedy="" if serves else _("See Administration > Device for what the workers report."),
            links=[] if serves else link_to(_("Open device"), "hsm:device", in_dialog=False),
        ),
        Finding(
            _("Its self-test passed.")
            if device.self_test_ok
            else _("Its self-test failed.")
            if device.self_test
            else _("Its self-test was not run yet."),
            ok=device.self_test_ok,
            at=device.self_test_at,
            remedy="" if device.self_test_ok else _("Run it. A device that fails must not push keys."),
            links=self_test,
        ),
        Finding(
            _("It is the designated device.") if device.is_designated else _("No device is designated."),
            ok=device.is_designated,
            remedy="" if device.is_designated else _("Designate it in HSM Protected Key Options."),
            links=[] if device.is_designated else designate,
        ),
    ]


# --- 2 ---------------------------------------------------------------------------------------
def _people_step() -> SetupStep:
    changes = LogEntry.objects.filter(service=Service.AUDIT, event=PASSWORD_CHANGED, actor_user_id=OuterRef("pk"))
    people = with_factor(User.objects.filter(is_active=True, role=Role.ADMIN).order_by("username"))
    admins = list(people.annotate(password_changed_at=Subquery(changes.order_by("-sequence").values("at")[:1])))
    enough = len(admins) >= 2
    findings = [
        Finding(
            _("Active administrators: %(names)s.") % {"names": ", ".join(admin.get_username() for admin in admins)},
            ok=enough,
            remedy="" if enough else _("Two people are needed, so that nobody alone holds the console. Add another."),
            links=[] if enough else link_to(_("Add a user"), "accounts:user_add", right=Right.USER_MANAGE),
        ),
        *(_password_of(admin.get_username(), admin.password_changed_at) for admin in admins),
        _second_factors([admin.get_username() for admin in admins if not admin.has_factor]),
        _dual_login(),
        _approvals(),
    ]
    return SetupStep(
        2,
        _("Administrators"),
        _("Two people, each with an account and a password that only they know."),
        findings,
    )


def _second_factors(missing: list[str]) -> Finding:
    """Return who can be signed in as with a password alone; a required factor is asked for at the sign-in."""
    if not missing:
        return Finding(_("Each administrator has a second factor."), ok=None)
    text = _("Without a second factor: %(names)s. Anyone who learns the password can sign in.")
    add = [
        link
        for name in missing
        for link in link_to(
            _("Set up my second factor"), "accounts:second_factor", in_dialog=False, user=name, query=return_query(2)
        )
    ]
    return Finding(text % {"names": ", ".join(missing)}, ok=None, links=add)


def _approvals() -> Finding:
    """Return where to demand approvals. Whether a policy is in force costs more to find out than a page has."""
    text = _("Actions that can't be undone, such as a purge, can require approval by other administrators.")
    link = link_to(_("Approval policies"), "approvals:policies", right=Right.APPROVAL_MANAGE, in_dialog=False)
    return Finding(text, ok=None, links=link)


def _dual_login() -> Finding:
    policy = read_policy()
    text = (
        _("Dual login is on: for what it names, a second administrator signs in.")
        if policy.is_on
        else _("Dual login is off: each administrator acts alone. It can demand that a second one signs in.")
    )
    links = link_to(_("Dual login"), "accounts:dual_login", right=Right.USER_MANAGE, in_dialog=False)
    return Finding(text, ok=None, links=links)


def _password_of(name: str, changed_at: object) -> Finding:
    if changed_at is not None:
        return Finding(_("%(name)s chose a password.") % {"name": name}, ok=True, at=changed_at)  # type: ignore[arg-type]
    return Finding(
        _("%(name)s still has the password given at the start.") % {"name": name},
        ok=False,
        remedy=_("%(name)s signs in and changes it on the profile page: whoever saw the start may know it.")
        % {"name": name},
        links=link_to(
            _("Change my password"), "accounts:own_password", in_dialog=False, user=name, query=return_query(2)
        ),
    )


# --- 3 ---------------------------------------------------------------------------------------
def _credential_step(credentials: list[CloudCredential], vaults: list[KeyVault]) -> SetupStep:
    add = link_to(_("Add a credential"), "cloudcreds:add", right=Right.CREDENTIAL_MANAGE, query=return_query(3))
    findings = [
        Finding(
            _("Cloud credentials recorded: %(names)s.") % {"names": ", ".join(each.name for each in credentials)}
            if credentials
            else _("No cloud credential is recorded yet."),
            ok=bool(credentials),
            remedy="" if credentials else _("Register an application in Azure, then record it here."),
            links=[*add, *link_to(_("How to set up Azure"), "cloudcreds:guide", in_dialog=False)],
        )
    ]
    proven = any(vault.last_test_ok for vault in vaults)
    for credential in credentials:
        own = [vault for vault in vaults if vault.credential_id == credential.pk]
        findings.append(_test_of(credential, own, is_needed=not proven))
        expiry = describe_sign_in_expiry(credential)
        if expiry.colour in {"bad", "warning"}:
            findings.append(
                Finding(
                    _sign_in_text(credential, expiry.text),
                    False if expiry.colour == "bad" else None,
                    remedy=_("Make a new one in Azure.")
                    if credential.sign_in == SignIn.SECRET
                    else _("Make one or upload one, and register it in Azure."),
                )
            )
    return SetupStep(
        3,
        _("Cloud credential"),
        _("The console signs in to Azure as an application of yours. Its key permissions are tried one by one."),
        findings,
    )


def _sign_in_text(credential: CloudCredential, when: str) -> str:
    """Return a sentence on the secret or certificate that needs attention."""
    if credential.sign_in == SignIn.SECRET:
        return _("The client secret of %(name)s %(when)s.") % {"name": credential.name, "when": when}
    if credential.sign_in_expires_on is None:
        return _("%(name)s has no certificate to sign in with yet.") % {"name": credential.name}
    return _("The certificate of %(name)s %(when)s.") % {"name": credential.name, "when": when}


def _test_of(credential: CloudCredential, vaults: list[KeyVault], *, is_needed: bool) -> Finding:
    """Return the result of a credential's permission probe; one credential that passes is enough."""
    tested = max(
        (vault for vault in vaults if vault.last_tested_at), key=lambda one: one.last_tested_at or 0, default=None
    )
    query = urlencode({"credential": credential.pk, "next": reverse("setup:step", args=[3])})
    find = link_to(_("List Key Vaults"), "jobs:start", "list_vaults", right=Right.VAULT_LIST, query=query)
    test = link_to(_("Test Connection"), "jobs:start", "test_connection", right=Right.CREDENTIAL_MANAGE, query=query)
    page = [Link(_("Open credential"), credential.get_absolute_url(), in_dialog=False)]
    name = {"name": credential.name}
    if tested is not None and tested.last_test_ok:
        text = _("%(name)s may do all the console needs on vault %(vault)s.") % {**name, "vault": tested.name}
        return Finding(text, ok=True, at=tested.last_tested_at, links=[*test, *page])
    wanted = False if is_needed else None
    if tested is not None and tested.last_test_ok is None:
        text = _("The test of %(name)s on vault %(vault)s has not ended.") % {**name, "vault": tested.name}
        return Finding(text, wanted, tested.last_tested_at, _("Wait for its end, or test again."), [*page, *test])
    if tested is not None:
        failed = ", ".join(one["name"] for one in tested.last_test if one["ok"] is False)
        text = _("%(name)s failed on vault %(vault)s: %(checks)s.") % {**name, "vault": tested.name, "checks": failed}
        remedy = _("Its page says what to do in Azure about each.")
        return Finding(text, wanted, tested.last_tested_at, remedy, [*page, *test])
    if credential.last_test_ok is False:
        text = _("%(name)s can't sign in to Azure.") % name
        return Finding(text, wanted, credential.last_tested_at, _("Its page says what to do."), [*page, *test])
    text = _("%(name)s was not tested on a vault yet.") % name
    remedy = _("Test it on a vault.") if vaults else _("List its key vaults first; then test it on one.")
    return Finding(text, wanted, credential.last_tested_at, remedy, [*(test if vaults else find), *page])


# --- 4 ---------------------------------------------------------------------------------------
def _vault_step(vaults: list[KeyVault]) -> SetupStep:
    findings = [_vault_finding(vault) for vault in best_first(vaults)]
    fit = [vault for vault in vaults if is_fit(vault)]
    if not fit:
        remedy = _("List the key vaults of a credential, or type a vault's address below; then test it.")
        if vaults:
            remedy = _(
                "Make a vault of the Premium tier in Azure, or test one whose tier is not known yet or whose test failed."
            )
        guide = link_to(_("How to make one"), "cloudcreds:guide", in_dialog=False)
        findings.append(
            Finding(_("No vault is known that is ready for HSM keys."), ok=False, remedy=remedy, links=guide)
        )
    return SetupStep(
        4,
        _("Key vault"),
        _(
            "Only a vault of the Premium tier takes HSM keys. Soft-delete and purge protection decide what a deletion means."
        ),
        findings,
    )


def is_fit(vault: KeyVault) -> bool:
    """Return whether a vault is known to take HSM keys: Premium, with a known recovery level, no test failed."""
    return vault.tier == VaultTier.PREMIUM and vault.has_soft_delete is not None and vault.last_test_ok is not False


def _vault_finding(vault: KeyVault) -> Finding:
    facts = [
        _("%(name)s: tier %(tier)s") % {"name": vault.name, "tier": vault.get_tier_display()},
        {None: _("soft-delete not asked yet"), True: _("soft-delete on"), False: _("soft-delete off")}[
            vault.has_soft_delete
        ],
        {None: "", True: _("purge protection on"), False: _("purge protection off")}[vault.is_purge_protected],
        _("credential %(credential)s") % {"credential": vault.credential.name},
    ]
    query = urlencode({"credential": vault.credential_id, "vault": vault.pk, "next": reverse("setup:step", args=[4])})
    test = link_to(_("Test"), "jobs:start", "test_connection", right=Right.CREDENTIAL_MANAGE, query=query)
    use = Link(
        _("Use this vault"), f"{reverse('setup:step', args=[5])}?{urlencode({'vault': vault.pk})}", in_dialog=False
    )
    ready = is_fit(vault)
    remedy = ""
    if vault.tier == VaultTier.STANDARD:
        remedy = _("It holds no HSM keys: choose another.")
    elif vault.last_test_ok is False:
        remedy = _("The last test of this credential on it failed; the credential's page says what to do in Azure.")
    return Finding(
        ", ".join(fact for fact in facts if fact) + ".",
        ok=True if ready else None,
        at=vault.last_tested_at or vault.seen_at,
        remedy=remedy,
        links=[use, *test] if ready else test,
    )


# --- 5 ---------------------------------------------------------------------------------------
def _push_step() -> SetupStep:
    pushed = (
        CloudVersion.objects.exclude(azure_version="")
        .select_related("key", "vault", "group")
        .defer("key__wrapped_private", "key__public_spki")
        .filter(group__certifications__isnull=True)
        # The last one is what the administrator just watched.
        .annotate(is_live=Q(state__in=LIVE_VERSION_STATES))
        .order_by("-is_live", "-pushed_at")
        .first()
    )
    if pushed is None:
        finding = Finding(
            _("No key was pushed yet."),
            ok=False,
            remedy=_("Make a key group below: its first key is made in the HSM and pushed at once."),
        )
    else:
        finding = Finding(
            _("Key %(key)s of group %(group)s is version %(version)s in vault %(vault)s.")
            % {
                "key": pushed.key.name,
                "group": pushed.group.name,
                "version": pushed.azure_version,
                "vault": pushed.vault.name,
            },
            ok=True,
            at=pushed.pushed_at,
            links=[*_proof_links(pushed), Link(_("Open key"), pushed.key.get_absolute_url(), in_dialog=False)],
        )
    return SetupStep(
        5,
        _("First key and test push"),
        _("A key group is one key in Azure. Its first key goes the whole way: HSM, wrap, import, verify."),
        [finding],
    )


def _proof_links(version: CloudVersion) -> list[Link]:
    """Return the link to the proof by a signature, if the vault still has the version and its key may sign."""
    if version.state not in LIVE_VERSION_STATES or KeyUsage.SIGN not in version.group.usage:
        return []
    query = urlencode({"version": version.pk, "next": reverse("setup:step", args=[5])})
    return link_to(_("Prove it by a signature"), "jobs:start", "prove", right=Right.KEY_PUSH, query=query)


def count_done(steps: Iterable[SetupStep]) -> int:
    """Return how many steps are done."""
    return sum(step.is_done for step in steps)
