"""What each process may do with each column of the database, in one table; PostgreSQL enforces it.

Every column of every table is named here, and nothing is granted that is not: ``tests/operations/test_database_rights.py``
refuses a model's column that is missing. A column that a process may not read is one of ``kmes.core.withheld``.
Commands of an operator (``manage.py``) act as the owner of the tables and are not bound by this. Beat uses no database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PROCESSES = ("web", "worker", "reports")
# Every column of the table.
ALL = "*"


@dataclass(frozen=True)
class Rights:
    """What a process may do with a table: with which columns, and whether it may delete rows."""

    read: tuple[str, ...]
    insert: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    delete: bool = False


@dataclass(frozen=True)
class TableRights:
    """The columns of a table, and what each process may do with it; a process that is not named may do nothing."""

    columns: tuple[str, ...]
    processes: Mapping[str, Rights]


@dataclass(frozen=True)
class _May:
    """The rights of a process in few words. ``but``: what it may not read. Django inserts whole rows or none."""

    read: str = ALL
    but: str = ""
    insert: bool = False
    # Of what it inserts, the columns that the database alone fills in.
    made: str = ""
    update: str = ""
    delete: bool = False

    def over(self, columns: tuple[str, ...]) -> Rights:
        """Return them for a table of these columns."""

        def named(text: str) -> tuple[str, ...]:
            found = columns if text == ALL else tuple(text.split())
            if unknown := set(found) - set(columns):
                message = f"no such columns: {sorted(unknown)}"
                raise ValueError(message)
            return found

        withheld = named(self.but)
        return Rights(
            read=tuple(column for column in named(self.read) if column not in withheld),
            insert=tuple(column for column in columns if self.insert and column not in named(self.made)),
            update=named(self.update),
            delete=self.delete,
        )


def _table(columns: str, **processes: _May) -> TableRights:
    names = tuple(columns.split())
    return TableRights(names, {process: may.over(names) for process, may in processes.items()})


_READS = _May()
# Rows that are added and never changed.
_ADDS = _May(insert=True)
_OWNS = _May(insert=True, update=ALL, delete=True)
# Deleting a credential or a key group in the web process sets these of its jobs to NULL; the rest is set by cancelling,
# which web does with a job that has not begun, by letting one try at once, and by letting a new one wait for grants.
_WEB_CHANGES_OF_JOBS = (
    "state group_id credential_id vault_id run_notes run_after waiting_for"
    " cancel_requested_at cancel_requested_by finished_at error_what error_remedy error_code"
)

TABLES: Mapping[str, TableRights] = {
    # --- Sign-in ---
    "accounts_user": _table(
        "id password last_login is_superuser username first_name last_name email is_staff is_active date_joined role"
        " one_time_until",
        web=_May(
            insert=True, update="password last_login username first_name last_name email is_active role one_time_until"
        ),
        worker=_May(but="password"),
        reports=_May(but="password"),
    ),
    "accounts_customrole": _table(
        "id code name description rights needs_second_factor lock_version changed_at",
        web=_May(
            insert=True, update="name description rights needs_second_factor lock_version changed_at", delete=True
        ),
        worker=_READS,
        reports=_READS,
    ),
    "accounts_roleassignment": _table(
        "id user_id role scope_kind scope_value given_at given_by",
        web=_May(insert=True, delete=True),
        worker=_READS,
        reports=_READS,
    ),
    # Sessions, second factors and known devices are the business of web alone.
    "accounts_consolesession": _table(
        "digest session_data expire_date name user_id address device sign_on began_at used_at", web=_OWNS
    ),
    "accounts_secondsignin": _table("id session_id user_id second_id began_at until seal", web=_OWNS),
    "accounts_dualloginpolicy": _table(
        "id roles actions second_roles minutes lock_version changed_at seal", web=_May(insert=True, update=ALL)
    ),
    "accounts_authenticatorapp": _table("id user_id sealed_seed added_at used_at last_step", web=_OWNS),
    "accounts_passkey": _table(
        "id user_id name digest sealed_credential handle domain sign_count is_synced added_at used_at", web=_OWNS
    ),
    "accounts_signonprovider": _table(
        "id name is_enabled issuer client_id scopes username_claim groups_claim group_roles unmatched_role may_link"
        " factor_values are_local_for_emergencies signs_out_there sealed changed_at",
        web=_May(insert=True, update=ALL),
    ),
    "accounts_signonidentity": _table("id user_id issuer subject seal added_at used_at", web=_OWNS),
    "accounts_usedchallenge": _table("id digest at", web=_OWNS),
    "accounts_recoverycode": _table("id user_id digest used_at", web=_OWNS),
    "accounts_factorfailure": _table("id user_id at address", web=_OWNS),
    "accounts_knowndevice": _table("id user_id device address seen_at", web=_OWNS),
    "accounts_user_groups": _table("id user_id group_id", web=_READS),
    "accounts_user_user_permissions": _table("id user_id permission_id", web=_READS),
    "accounts_failedsignins": _table(
        "id minute name address tries logged",
        web=_May(insert=True, update="tries logged"),
        worker=_May(update="logged", delete=True),
    ),
    "auth_permission": _table("id name content_type_id codename", web=_READS),
    "auth_group": _table("id name", web=_READS),
    "auth_group_permissions": _table("id group_id permission_id", web=_READS),
    "django_content_type": _table("id app_label model", web=_READS),
    # Django's own, which nothing uses.
    "django_session": _table("session_key session_data expire_date"),
    "axes_accessattempt": _table(
        "id user_agent ip_address username http_accept path_info attempt_time get_data post_data failures_since_start",
        web=_OWNS,
    ),
    "axes_accessattemptexpiration": _table("access_attempt_id expires_at", web=_OWNS),
    "axes_accesslog": _table(
        "id user_agent ip_address username http_accept path_info attempt_time logout_time session_hash", web=_OWNS
    ),
    "axes_accessfailurelog": _table(
        "id user_agent ip_address username http_accept path_info attempt_time locked_out", web=_OWNS
    ),
    # --- Pages ---
    "ui_preference": _table("id user_id name value", web=_OWNS),
    "ui_savedview": _table("id table name address layout owner_id is_shared", web=_OWNS),
    "logging_reports_savedfilter": _table("id name query owner_id owner_name is_shared created_at", web=_OWNS),
    "operations_storedoption": _table(
        "name value changed_at changed_by", web=_May(insert=True, update=ALL), worker=_READS, reports=_READS
    ),
    # The worker ends what is over.
    "dashboard_acknowledgement": _table(
        "id matter subject state label reason acknowledged_at acknowledged_by ended_at",
        web=_May(insert=True, update="ended_at"),
        worker=_May(update="ended_at"),
    ),
    "django_migrations": _table("id app name applied", web=_READS, worker=_READS, reports=_READS),
    # django-rq's page, which nobody serves.
    "django_rq_dashboard": _table("id"),
    # --- Log: rows are added; the head moves on (docs/log.md) ---
    "logging_reports_logentry": _table(
        "id service sequence at category severity event actor_name actor_trigger actor_user_id credential_id credential"
        " vault group_id group key_id key version job_id job_code azure_request_id http_status duration_ms message data"
        " truncated chain_format previous_hash hash",
        # Whoever chose ids could take those that the next rows get.
        **dict.fromkeys(PROCESSES, _May(insert=True, made="id")),
    ),
    "logging_reports_loghead": _table(
        "service sequence hash",
        web=_May(insert=True, update="sequence hash"),
        worker=_May(insert=True, update="sequence hash"),
        reports=_May(insert=True, update="sequence hash"),
    ),
    "logging_reports_logcheckpoint": _table(
        "number at text signature public_key hash", web=_READS, worker=_ADDS, reports=_READS
    ),
    "logging_reports_checkpointtimestamp": _table(
        "number at authority policy response received_at", web=_READS, worker=_READS, reports=_ADDS
    ),
    "logging_reports_timestampoutage": _table(
        "id failures failing_since last_error next_try_at is_reported",
        web=_READS,
        worker=_READS,
        reports=_May(insert=True, update=ALL),
    ),
    "logging_reports_logexport": _table(
        "id service format wanted query up_to requested_by requested_by_id trigger state rows_total rows_done file_name"
        " size sha256 error_what error_remedy cancel_requested_by created_at started_at seen_at finished_at expires_at",
        web=_May(insert=True, update="state cancel_requested_by finished_at error_what error_remedy"),
        reports=_May(
            update="state rows_total rows_done file_name size sha256 error_what error_remedy started_at seen_at"
            " finished_at expires_at up_to"
        ),
    ),
    # --- Notices ---
    "logging_reports_notice": _table(
        "id key topic event severity message count at service sequence url user_id",
        web=_May(insert=True, update="message count at severity sequence service url"),
        worker=_May(insert=True, update="message count at severity sequence service url"),
        reports=_May(insert=True, update="message count at severity sequence service url", delete=True),
    ),
    "logging_reports_noticeread": _table(
        "id notice_id user_id", web=_May(insert=True, delete=True), reports=_May(delete=True)
    ),
    "logging_reports_channel": _table(
        "id kind name is_enabled url recipients rules user_id salt key_check created_at updated_at deleted_at",
        web=_May(insert=True, update=ALL),
        worker=_READS,
        reports=_May(delete=True),
    ),
    "logging_reports_delivery": _table(
        "id notice_id channel_id state attempts next_try_at lease_until last_answer created_at finished_at",
        web=_ADDS,
        worker=_ADDS,
        reports=_May(insert=True, update="state attempts next_try_at lease_until last_answer finished_at", delete=True),
    ),
    "logging_reports_reminder": _table("id key at", worker=_May(insert=True, delete=True), reports=_May(delete=True)),
    # --- Log forwarding ---
    "logging_reports_forwardingdestination": _table(
        "id name is_enabled transport row_format host port path ca_certificates token services lowest_severity events seal"
        " created_at run_number lease_until last_run_at last_success_at failures failing_since last_error next_try_at"
        " is_alarmed test_requested_at tested_at test_passed test_result",
        web=_OWNS,
        worker=_May(update="is_alarmed"),
        reports=_May(
            update="run_number lease_until last_run_at last_success_at failures failing_since last_error next_try_at"
            " is_alarmed test_requested_at tested_at test_passed test_result"
        ),
    ),
    "logging_reports_forwardingposition": _table(
        "id destination_id service start confirmed last_sent announced settled settling settling_since",
        web=_OWNS,
        worker=_READS,
        reports=_May(update="start confirmed last_sent announced settled settling settling_since"),
    ),
    # --- Device ---
    "hsm_hsmdevice": _table(
        "id serial label manufacturer model firmware mfk_public_spki mfk_kcv pmk_kcv sentinel_hash report_spki mechanisms"
        " is_designated self_test self_test_at registered_at availability last_seen_at",
        web=_May(update="is_designated"),
        worker=_May(update="self_test self_test_at availability last_seen_at"),
    ),
    "hsm_workersighting": _table(
        "host device_id state version seen_at", web=_READS, worker=_May(insert=True, update=ALL, delete=True)
    ),
    # --- Credentials and vaults ---
    "cloudcreds_cloudcredential": _table(
        "id name service cloud tenant_id client_id sign_in secret_id sealed_secret secret_set_at sign_in_expires_on"
        " authority_url arm_url last_test last_test_ok last_tested_at slow_until created_at updated_at lock_version"
        " mark_number mark save_signer save_signature sealed_for",
        # Web signs the digests of what is sealed, so it reads it; only the device opens it.
        web=_May(insert=True, update=ALL, delete=True),
        worker=_May(
            update="sign_in sealed_secret secret_id secret_set_at sign_in_expires_on last_test last_test_ok last_tested_at"
            " slow_until tenant_id updated_at lock_version mark_number mark save_signer save_signature sealed_for"
        ),
    ),
    "cloudcreds_signincertificate": _table(
        "id credential_id pem thumbprint thumbprint_sha256 not_before not_after sealed_key wrapped_key is_in_use created_at"
        " sealed_for",
        web=_May(insert=True, update="is_in_use", delete=True),
        # The worker seals a key anew where its credential's place changed.
        worker=_May(insert=True, update="is_in_use sealed_key sealed_for", delete=True),
    ),
    "cloudcreds_keyvault": _table(
        "id credential_id name url tier recovery_level recoverable_days last_test last_test_ok last_tested_at seen_at"
        " policies kek_bits kek_days recent_changes mark_number mark save_signer save_signature",
        web=_May(insert=True, update=ALL, delete=True),
        worker=_May(insert=True, update=ALL),
    ),
    "cloudcreds_vaultconfiguration": _table(
        "vault_id access_model public_access firewall private_endpoints read_at",
        web=_May(delete=True),
        worker=_May(insert=True, update=ALL),
    ),
    "cloudcreds_vaultcircuit": _table(
        "vault_id failures last_error opened_at retry_at pauses probe_job_id probe_until slow_until",
        web=_May(insert=True, update="retry_at probe_job_id probe_until", delete=True),
        worker=_May(insert=True, update=ALL),
    ),
    # --- Key groups and keys ---
    "keygroups_keygroup": _table(
        "id name key_spec usage credential_id vault_id azure_name enabled_on_push rotate rotate_every rotate_unit"
        " valid_for valid_unit rotation_anchor_at next_due_at last_rotated_at notes owner tags adopted_versions"
        " cloud_state deleted_in_cloud_at scheduled_purge_at current_version compared_at differences created_at"
        " updated_at lock_version mark_number mark save_signer save_signature",
        web=_May(insert=True, update=ALL, delete=True),
        worker=_May(insert=True, update=ALL),
    ),
    # Only the worker, which has the device, makes keys; destroying one empties its material.
    "keygroups_key": _table(
        "id group_id name key_spec state public_spki wrapped_private mark thumbprint created_at created_by destroyed_at",
        web=_May(but="wrapped_private mark"),
        worker=_May(insert=True, update="state wrapped_private mark destroyed_at"),
    ),
    "keygroups_cloudversion": _table(
        "id key_id group_id vault_id azure_name azure_version kid state enabled wanted_enabled differs operations tags"
        " pushed_at ordinal expires_at wanted_expires_at not_before wanted_not_before updated_at",
        web=_May(
            insert=True,
            update="state enabled wanted_enabled differs operations tags expires_at wanted_expires_at not_before wanted_not_before updated_at",
        ),
        worker=_May(insert=True, update=ALL),
    ),
    "keygroups_observation": _table(
        "id group_id version_id azure_version kid seen_at is_present enabled created_on updated_on expires_on not_before"
        " operations tags flags is_accepted",
        web=_May(update="is_accepted flags", delete=True),
        worker=_OWNS,
    ),
    "keygroups_keyreading": _table(
        "group_id read_at rotation rotation_problem platforms", web=_May(delete=True), worker=_OWNS
    ),
    "jobs_rotationslot": _table(
        "id group_id due_at job_id state created_at attempts tried_at next_try_at last_error",
        # A person tries one at once, or gives it up.
        web=_May(insert=True, update="job_id state attempts tried_at next_try_at", delete=True),
        worker=_May(insert=True, update=ALL),
    ),
    # --- Jobs: a request is added with its signature, which nobody changes ---
    "jobs_job": _table(
        "id code kind state group_id credential_id vault_id subject actor_name trigger requested_by_id params run_notes"
        " azure_lock idempotency_key request_signer request_signature device_serial retry_of_id follows_id part_of_id fence"
        " failures lost_runs lease_owner lease_until run_after waiting_for cancel_requested_at cancel_requested_by created_at"
        " started_at finished_at error_what error_remedy error_code",
        web=_May(insert=True, update=_WEB_CHANGES_OF_JOBS),
        worker=_May(
            insert=True,
            update="state vault_id run_notes azure_lock device_serial fence failures lost_runs lease_owner lease_until"
            " run_after waiting_for cancel_requested_at cancel_requested_by started_at finished_at"
            " error_what error_remedy error_code",
        ),
    ),
    "jobs_jobtarget": _table(
        "id job_id key_id ordinal state detail request_signature",
        web=_ADDS,
        worker=_May(insert=True, update="state detail"),
    ),
    "jobs_jobstep": _table(
        "id job_id name subject ordinal state detail started_at finished_at",
        web=_READS,
        worker=_May(insert=True, update="ordinal state detail started_at finished_at"),
    ),
    "jobs_jobmessage": _table("id job_id at severity text", web=_ADDS, worker=_ADDS),
    "jobs_intent": _table(
        "id job_id fence operation azure_lock key_id thumbprint state sent_at sent_boot_id sent_uptime resolved_at kid",
        web=_READS,
        worker=_May(insert=True, update="state sent_at sent_boot_id sent_uptime resolved_at kid"),
    ),
    "jobs_ephemeralkek": _table(
        "id job_id vault_id name kid modulus_bits state created_at expires_at note sweep_attempts next_sweep_at",
        web=_May(update="next_sweep_at"),
        worker=_May(insert=True, update="kid modulus_bits state expires_at note sweep_attempts next_sweep_at"),
    ),
    "jobs_scheduleclock": _table(
        "id last_tick_at held_since held_reason steady_since",
        web=_May(insert=True, update=ALL),
        worker=_May(insert=True, update=ALL),
    ),
    "jobs_clockwitness": _table("id boot_id at uptime_seconds", web=_May(delete=True), worker=_OWNS),
    # --- Approvals: each row is signed, added once and never changed ---
    "jobs_approvalpolicy": _table(
        "id action scope_kind scope_value number approvals role expires_hours needs_passkey allows_break_glass least"
        " changed_by changed_at signature",
        web=_READS,
        worker=_ADDS,
    ),
    "jobs_approvalrequest": _table(
        "id job_id plan digest reason requirements requested_at expires_at signer signature", web=_ADDS, worker=_ADDS
    ),
    "jobs_approvaldecision": _table(
        "id request_id user_id user_name verdict reason decided_at proof signature", web=_ADDS, worker=_READS
    ),
    "jobs_breakglassreview": _table(
        "id decision_id user_id user_name comment reviewed_at signature", web=_ADDS, worker=_READS
    ),
    "jobs_certification": _table(
        "id code state vault_id vault_name group_id key_spec actor_name requested_by_id idempotency_key created_at"
        " request_signer request_signature finished_at left_behind report signature signer_spki",
        # Web begins the first step, which can end the run at once.
        web=_May(insert=True, update="state vault_id group_id finished_at"),
        worker=_May(update="state group_id finished_at left_behind report signature signer_spki"),
    ),
    "jobs_certificationstep": _table(
        "id certification_id ordinal name state job_id detail evidence started_at finished_at",
        web=_May(insert=True, update="state job_id detail started_at finished_at"),
        worker=_May(update="state job_id detail evidence started_at finished_at"),
    ),
}
