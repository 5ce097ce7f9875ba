"""Replace the tags that people set on one version.

Announced like every change: a request that timed out may take effect minutes later, and must not undo tags that
somebody set in the meantime.
"""

from __future__ import annotations

from django.utils.translation import gettext as _

from cloudcreds.provider.errors import CloudError, CloudErrorKind
from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import VaultKey
from jobs.choices import IntentOperation, IntentState, TargetState
from jobs.engine.gateways import gateway_for
from jobs.engine.run import JobRun
from jobs.engine.runner import Runner, no_failure_event, nothing_to_abandon, nothing_to_clean_up
from jobs.engine.steps import step
from jobs.engine.transaction import RunTransaction
from jobs.journal.intents import announce, announced, resolve, resolve_own_calls
from jobs.kinds.observations import observe_change
from jobs.kinds.push.earlier_calls import resolve_earlier_calls
from jobs.kinds.vault_versions import list_all_versions
from keygroups import drift
from keygroups import lifecycle as key_lifecycle
from keygroups.fields import own_tags, show_tags
from keygroups.models import CloudVersion
from kmes.core.errors import ConflictError


def run_set_tags(run: JobRun) -> None:
    """Set the version's tags and record what the vault answers.

    Raises:
        ConflictError: the vault has no such version.

    """
    wanted: dict[str, str] = run.job.params["tags"]
    version = CloudVersion.objects.select_related("group", "vault__credential", "key").get(
        pk=run.job.params["version_id"]
    )
    with step(run, "set_tags"):
        gateway = gateway_for(run, version.vault)
        gateway.get_token()
        versions = list_all_versions(gateway, version.group)
        resolve_earlier_calls(run, gateway, version.group, versions, of_others=True)
        try:
            current = gateway.get_key(version.azure_name, version.azure_version)
            if current is None:
                raise _missing(version)
            if not _is_done(run, version, current, wanted):
                _set(run, gateway, version, current, wanted)
        except CloudError as error:
            if error.kind != CloudErrorKind.NOT_FOUND:
                raise
            raise _missing(version) from error


def _missing(version: CloudVersion) -> ConflictError:
    return ConflictError(
        _("The vault has no version %(kid)s any more.") % {"kid": version.kid},
        _("Run Cloud > Check Drift and check the key group."),
    )


def _is_done(run: JobRun, version: CloudVersion, current: VaultKey, wanted: dict[str, str]) -> bool:
    """Return whether an earlier call whose answer was lost did it, and record it; wait while one may still do so."""
    before = own_tags(current.tags)
    return resolve_own_calls(run, lambda: before == wanted, lambda tx: _record(tx, version, before, current))


def _set(run: JobRun, gateway: VaultGateway, version: CloudVersion, current: VaultKey, wanted: dict[str, str]) -> None:
    before = own_tags(current.tags)
    kept = {name: value for name, value in current.tags.items() if name not in before}
    tags = {**wanted, **kept, **drift.console_tags(version)}
    with run.write() as tx:
        intent = announce(tx, IntentOperation.SET_TAGS, key=version.key)
    with announced(run, intent), run.calls_about(version.key):
        bundle = gateway.update_version(version.azure_name, version.azure_version, tags=tags)
    with run.write() as tx:
        resolve(tx, intent, IntentState.OK, kid=bundle.kid)
        _record(tx, version, before, bundle)


def _record(tx: RunTransaction, version: CloudVersion, before: dict[str, str], bundle: VaultKey) -> None:
    """Record the tags that the vault has now, with those it had."""
    after = own_tags(bundle.tags)
    key_lifecycle.record_tags(version=version, tags=after)
    observe_change(version, bundle)
    for target in tx.job.targets.all():
        tx.record_result(target, TargetState.DONE, version.kid)
    shown = show_tags(after).replace("\n", ", ") or _("none")
    tx.add_message(_("Tags of version %(version)s: %(tags)s") % {"version": version.azure_version, "tags": shown})
    tx.log(
        "key.tags_changed",
        f"Tags of {version.kid} changed",
        key=version.key,
        version=version.azure_version,
        data={"before": before, "after": after},
    )


RUNNER = Runner(
    run=run_set_tags, clean_up=nothing_to_clean_up, abandon_key=nothing_to_abandon, log_failure=no_failure_event
)
