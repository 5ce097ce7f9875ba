"""What each request, menu entry and job needs: the one table that the permission matrix is made from.

A line of ``PAGES`` names a view, its methods, and all rights that it needs. Then come the arguments of its address, its
query behind ``?``, and what a request answers that may be made, where that is no page. ``{name}`` is a row of
``permission_world``. ``public`` needs no user, ``machine`` a token or this machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

PUBLIC, MACHINE = "public", "machine"

PAGES = """
# --- Dashboard and set-up
dashboard:home                     GET       console.read
dashboard:outlook                  GET       console.read
dashboard:acknowledge              GET,POST  console.read+configuration.manage  matter=redis
dashboard:acknowledge              GET,POST  console.read+device.manage         matter=no-device
dashboard:acknowledge              GET,POST  console.read+user.manage           matter=administrators
dashboard:acknowledge              GET,POST  console.read+key.rotate            matter=late-rotations
dashboard:acknowledge              GET,POST  console.read+key.push              matter=keks
dashboard:acknowledge              GET,POST  console.read+key.disable           matter=drift
dashboard:acknowledge              GET,POST  console.read+job.cancel            matter=failed-jobs
dashboard:acknowledge              GET,POST  console.read+credential.manage     matter=unseen-vaults
dashboard:acknowledge              GET,POST  console.read+approval.manage       matter=break-glass
dashboard:withdraw                 POST      console.read+configuration.manage  matter=redis
dashboard:withdraw                 POST      console.read+credential.manage     matter=unseen-vaults
dashboard:healthz                  GET       public
dashboard:readyz                   GET       public
dashboard:metrics                  GET       machine
setup:resume                       GET       console.read
setup:begin                        GET       console.read
setup:done                         GET       console.read
setup:step                         GET       console.read  number=2
setup:add_vault                    POST      credential.manage
setup:push                         POST      group.manage+key.create+key.rotate  ?vault={vault}&name=first&key_spec=P-256
# --- Sign-in and oneself
accounts:login                     GET,POST  public
accounts:second_step               GET,POST  public
accounts:second_step_options       POST      public
accounts:passkey_sign_in           POST      public
accounts:sign_in_options           POST      public
accounts:sign_on_start             GET       public
accounts:sign_on_answer            GET       public
accounts:sign_on_logout            POST      public
accounts:sign_on_signed_out        GET       public
accounts:sign_on_confirm           GET       console.read
accounts:sign_on                   GET,POST  user.manage
accounts:sign_on_test              POST      user.manage
accounts:sign_on_trial             GET       user.manage
accounts:logout                    POST      public
accounts:profile                   GET       console.read
accounts:own_password              GET,POST  console.read
accounts:own_sessions              GET       console.read
accounts:end_other_sessions        GET,POST  console.read
accounts:session_time_left         GET,POST  console.read
accounts:second_factor             GET       console.read
accounts:confirm_factor            GET,POST  console.read
accounts:add_app                   GET,POST  console.read
accounts:recovery_codes            GET,POST  console.read
accounts:remove_factor             GET,POST  console.read
accounts:passkey_options           POST      console.read
accounts:add_passkey               GET,POST  console.read
accounts:new_passkey_options       POST      console.read
accounts:remove_passkey            GET,POST  console.read  passkey_id={passkey}  404
# --- Users, roles, sessions
accounts:sessions                  GET       user.manage
accounts:end_session               GET,POST  console.read+user.manage  session={session}  hidden
accounts:users                     GET       console.read
accounts:user_add                  GET,POST  user.manage
accounts:unlock                    GET,POST  user.manage
accounts:users_actions             POST      console.read  ?key={user}
accounts:users_act                 GET,POST  user.manage   act=deactivate  ?key={user}
accounts:users_act                 GET,POST  user.manage   act=reactivate  ?key={user}
accounts:users_act                 GET,POST  user.manage   act=end-sessions  ?key={user}
accounts:user                      GET       console.read  user_id={user}
accounts:user_actions              GET       console.read  user_id={user}
accounts:user_edit                 GET,POST  user.manage   user_id={user}
accounts:user_deactivate           GET,POST  user.manage   user_id={user}
accounts:user_reactivate           GET,POST  user.manage   user_id={user}
accounts:user_reset_password       GET,POST  user.manage   user_id={user}
accounts:user_reset_factor         GET,POST  user.manage   user_id={user}
accounts:user_unlink               GET,POST  user.manage   user_id={user}
accounts:user_give_role            GET,POST  user.manage   user_id={user}
accounts:user_take_role            GET,POST  user.manage   user_id={user} assignment_id={assignment}
accounts:scope_names               GET       console.read  kind=vault
accounts:dual_login                GET,POST  user.manage
accounts:second_administrator      GET,POST  console.read
accounts:second_administrator_factor  GET,POST  console.read
accounts:second_administrator_options  POST   console.read
accounts:end_second_administrator  POST      console.read
accounts:roles                     GET       console.read
accounts:role_add                  GET,POST  role.manage
accounts:role                      GET       console.read  role={role}
accounts:role_actions              GET       console.read  role={role}
accounts:role_edit                 GET,POST  role.manage   role={role}
accounts:role_delete               GET,POST  role.manage   role={role}
# --- The shell
ui:changes                         GET       console.read
ui:search                          GET       console.read
ui:background                      GET       console.read  target=users
ui:shortcuts                       GET       console.read
ui:preferences                     GET,POST  console.read
ui:colours                         POST      console.read
ui:csv                             POST      console.read
ui:tree                            POST      console.read
ui:table                           GET,POST  console.read  name=jobs
ui:views                           GET,POST  console.read  name=jobs
# --- Credentials
cloudcreds:list                    GET       console.read
cloudcreds:add                     GET,POST  credential.manage
cloudcreds:guide                   GET       console.read
cloudcreds:detail                  GET       console.read       credential_id={credential}
cloudcreds:actions                 GET       console.read       credential_id={credential}
cloudcreds:permissions             GET       console.read       credential_id={credential}
cloudcreds:edit                    GET,POST  credential.manage  credential_id={credential}
cloudcreds:test                    GET       credential.manage  credential_id={credential}
cloudcreds:last_test               GET       console.read       credential_id={credential}
cloudcreds:use_certificate         GET,POST  credential.manage  credential_id={credential}  404
cloudcreds:certificate             GET       console.read       credential_id={credential} certificate_id={certificate}
cloudcreds:delete                  GET,POST  credential.manage  credential_id={credential}
# --- Keys
keygroups:keys                     GET       console.read
keygroups:custody                  GET       console.read
keygroups:calendar                 GET       console.read
keygroups:group_names              GET       console.read
keygroups:branch                   GET       console.read  404
keygroups:selection_actions        POST      console.read  ?selection=1&key={key}
keygroups:groups_actions           GET       console.read
keygroups:group_selection_actions  POST      console.read  ?group_selection=1&picked={group}
keygroups:group_add                GET,POST  group.manage
keygroups:rotation                 GET,POST  group.manage  ?group_selection=1&picked={group}
keygroups:reschedule               GET,POST  group.manage  ?group_selection=1&picked={group}
keygroups:preview                  POST      group.manage
keygroups:vaults                   POST      group.manage
keygroups:vault_listing            GET       group.manage  code={listing}
keygroups:vault                    GET       console.read  vault_id={vault}
keygroups:vault_actions            GET       console.read  vault_id={vault}
keygroups:group_detail             GET       console.read  group_id={group}
keygroups:group_edit               GET,POST  group.manage  group_id={group}
keygroups:group_delete             GET,POST  group.manage  group_id={group}
keygroups:group_actions            GET       console.read  group_id={group}
keygroups:group_permissions        GET       console.read  group_id={group}
keygroups:vault_permissions        GET       console.read  vault_id={vault}
keygroups:group_inspector          GET       console.read  group_id={group}
keygroups:drift                    GET       console.read  group_id={group}
keygroups:drift_accept             POST      key.disable   group_id={observed_group} observation_id={observation}
keygroups:key_detail               GET       console.read  key_id={key}
keygroups:key_actions              GET       console.read  key_id={key}
keygroups:key_inspector            GET       console.read  key_id={key}
keygroups:key_events               GET       log.read      key_id={key}
keygroups:key_pdf                  GET       log.read+log.export  key_id={key}
keygroups:key_public               GET       console.read  key_id={key}
# --- Jobs
jobs:list                          GET       console.read
jobs:drawer                        GET       console.read
jobs:names_preview                 GET       console.read
jobs:remove                        GET,POST  console.read+cloud.delete|key.destroy  ?group={group}
jobs:rotation_try                  POST      key.rotate    group_id={due_group}
jobs:rotation_stop                 POST      key.rotate    group_id={due_group}
jobs:vault_try                     POST      key.push      vault_id={vault}
jobs:start_many                    GET,POST  console.read+key.rotate    kind=rotate        ?group_selection=1&picked={group}
jobs:start_many                    GET,POST  console.read+key.push      kind=synchronize   ?group_selection=1&picked={group}
jobs:start_many                    GET,POST  console.read+key.push      kind=check_drift   ?group_selection=1&picked={group}
jobs:start_many                    GET,POST  console.read+key.disable   kind=set_enabled   ?group_selection=1&picked={group}
jobs:start_many                    GET,POST  console.read+cloud.delete  kind=cloud_delete  ?group_selection=1&picked={group}
jobs:start                         GET,POST  console.read+key.create    kind=create        ?group={group}
jobs:start                         GET,POST  console.read+key.push      kind=synchronize   ?key={key}
jobs:start                         GET,POST  console.read+key.rotate    kind=rotate        ?group={group}
jobs:start                         GET,POST  console.read+key.disable   kind=set_enabled   ?version={version}&enabled=0
jobs:start                         GET,POST  console.read+key.push      kind=set_tags      ?group={group}
jobs:start                         GET,POST  console.read+key.rotate    kind=set_rotation_policy  ?group={group}
jobs:start                         GET,POST  console.read+cloud.delete  kind=cloud_delete  ?group={group}
jobs:start                         GET,POST  console.read+cloud.delete  kind=cloud_recover  ?group={group}
jobs:start                         GET,POST  console.read+cloud.purge   kind=cloud_purge   ?group={group}
jobs:start                         GET,POST  console.read+key.destroy   kind=destroy       ?key={key}
jobs:start                         GET,POST  console.read+key.push      kind=check_drift   ?group={group}
jobs:start                         GET,POST  console.read+key.disable   kind=repair        ?observation={observation}
jobs:start                         GET,POST  console.read+credential.manage  kind=test_connection  ?credential={credential}
jobs:start                         GET,POST  console.read+credential.manage  kind=make_certificate  ?credential={credential}
jobs:start                         GET,POST  console.read+vault.list    kind=list_vaults   ?credential={credential}
jobs:start                         GET,POST  console.read+device.manage  kind=self_test
jobs:start                         GET,POST  console.read+key.push      kind=prove         ?version={version}
jobs:detail                        GET       console.read  code={job}
jobs:live                          GET       console.read  code={job}
jobs:sequence                      GET       log.read      code={job}
jobs:log                           GET       console.read  code={job}
jobs:actions                       GET       console.read  code={job}
jobs:cancel                        GET,POST  job.cancel    code={job}
jobs:adopt_name                    GET,POST  group.manage  code={job} group_id={group}
jobs:jobs_actions                  POST      console.read  ?key={job_id}
jobs:cancel_many                   GET,POST  job.cancel    ?key={job_id}
jobs:retry_many                    GET,POST  key.push      ?key={job_id}
jobs:retry                         GET,POST  console.read+key.push      code={job}
jobs:retry                         GET,POST  console.read+key.rotate    code={many_job}
certifications:list                GET       console.read
certifications:begin               GET,POST  device.manage
certifications:detail              GET       console.read  code={certification}
certifications:live                GET       console.read  code={certification}
certifications:report              GET       console.read  code={certification}
certifications:signature           GET       console.read  code={certification}
certifications:signer              GET       console.read  code={certification}
# --- Approvals
approvals:list                     GET       console.read
approvals:policies                 GET       console.read
approvals:demand_two               POST      approval.manage
approvals:policy                   GET,POST  approval.manage  action=cloud_purge
approvals:policy_for_scope         GET,POST  approval.manage  policy_id=0  404
approvals:add_policy               GET,POST  approval.manage  action=cloud_purge
approvals:detail                   GET       console.read     code={awaiting}
approvals:decide                   GET,POST  console.read     code={awaiting}
approvals:options                  POST      console.read     code={awaiting}
approvals:batch                    GET,POST  console.read
approvals:batch_options            POST      console.read
approvals:apply                    POST      console.read     code={awaiting}
approvals:break_glass              GET,POST  approval.break_glass  code={awaiting}
approvals:break_glass_options      POST      approval.break_glass  code={awaiting}
approvals:review                   GET,POST  approval.manage  code={awaiting}  404
approvals:evidence                 GET       console.read     code={awaiting}
# --- Logs and reports
logs:list                          GET       log.read
logs:tail                          GET       log.read
logs:export                        GET       log.export  ?service=audit
logs:export_lines                  GET       log.export  ?service=audit
logs:exports                       GET       log.export
logs:export_start                  POST      log.export
logs:export_cancel                 POST      log.export  export_id={export}
logs:export_file                   GET       log.export  export_id={export}  404
logs:filter_save                   GET,POST  log.read
logs:filter_delete                 GET       log.read              filter_id={filter}
logs:filter_delete                 POST      log.read+user.manage  filter_id={filter}
logs:checkpoints                   GET       log.read
logs:anchor                        GET       log.read  number=1
logs:time_stamp                    GET       log.read  number=1  404
logs:detail                        GET       log.read  service=audit sequence=1
forwarding:list                    GET       log.read
forwarding:add                     GET,POST  log.forward
forwarding:detail                  GET       log.read     destination_id={destination}
forwarding:edit                    GET,POST  log.forward  destination_id={destination}
forwarding:test                    POST      log.forward  destination_id={destination}
forwarding:send_again              POST      log.forward  destination_id={destination}
forwarding:delete                  GET,POST  log.forward  destination_id={destination}
reports:home                       GET       console.read
reports:report                     GET       console.read            name=key-age
reports:report                     GET       console.read            name=expiring
reports:report                     GET       console.read            name=rotation
reports:report                     GET       console.read            name=unmanaged
reports:report                     GET       console.read+log.read   name=activity  hidden
reports:export                     GET       log.export+console.read  name=key-age  hidden
reports:export                     GET       log.export+log.read      name=activity  hidden
reports:export_pdf                 GET       log.export+console.read  name=key-age  hidden
reports:export_pdf                 GET       log.export+log.read      name=activity  hidden
# --- Notices
notices:list                       GET       console.read
notices:bell                       GET       console.read
notices:read_all                   POST      console.read
notices:read                       POST      console.read  notice_id={notice}
notices:own_mail                   GET,POST  console.read
notices:own_mail_test              POST      console.read
notices:channels                   GET       notice.manage
notices:channel_add                GET,POST  notice.manage  kind=mail
notices:channel                    GET       notice.manage  channel_id={channel}
notices:channel_edit               GET,POST  notice.manage  channel_id={channel}
notices:channel_test               POST      notice.manage  channel_id={channel}
notices:channel_secret             GET,POST  notice.manage  channel_id={webhook}
notices:channel_delete             GET,POST  notice.manage  channel_id={channel}
# --- Administration
hsm:device                         GET       console.read
hsm:configuration                  GET       console.read
hsm:designate                      GET,POST  device.manage  device_id={device}
operations:options                 GET       console.read
operations:save_options            POST      configuration.manage
operations:schedule                GET       console.read
operations:confirm_schedule        GET,POST  key.rotate
"""

# What whoever asks for a kind of job needs, and still needs each time that a worker takes it up.
_JOBS = (
    "create:key.create synchronize:key.push rotate:key.rotate set_enabled:key.disable set_tags:key.push "
    "set_rotation_policy:key.rotate cloud_delete:cloud.delete cloud_recover:cloud.delete cloud_purge:cloud.purge "
    "destroy:key.destroy check_drift:key.push repair:key.disable test_connection:credential.manage "
    "make_certificate:credential.manage list_vaults:vault.list self_test:device.manage prove:key.push "
    "sign_report:device.manage set_approval_policy:approval.manage change_users:user.manage change_roles:role.manage "
    "change_credentials:credential.manage change_device:device.manage change_options:configuration.manage "
    "change_forwarding:log.forward change_destinations:group.manage change_dual_login:user.manage "
    "resume_restored:key.rotate"
)
# Those that a person does not start by themselves from a page of jobs.
_CHANGES = ("users", "roles", "credentials", "device", "options", "forwarding", "destinations", "dual_login")
NOT_STARTED_FROM_A_PAGE = {
    "sign_report",
    "set_approval_policy",
    "resume_restored",
    *(f"change_{each}" for each in _CHANGES),
}
# On many key groups each operation needs what it needs on one.
MANY = ("rotate", "synchronize", "check_drift", "set_enabled", "cloud_delete")


class Need(NamedTuple):
    """Rights of which each is needed; of the alternatives in one entry any."""

    rights: tuple[frozenset[str], ...]

    def is_met_by(self, held: frozenset[str]) -> bool:
        """Whether somebody with these rights may do it."""
        return all(alternatives & held for alternatives in self.rights)


@dataclass(frozen=True)
class Row:
    """One line of ``PAGES``."""

    view: str
    methods: tuple[str, ...]
    needs: str
    arguments: tuple[tuple[str, str], ...]
    query: str
    # What answers where a row is missing on purpose, or is hidden from those who may not see it.
    is_missing: bool
    is_hidden: bool

    @property
    def need(self) -> Need:
        """The rights; empty for what needs no user."""
        named = () if self.needs in {PUBLIC, MACHINE} else self.needs.split("+")
        return Need(tuple(frozenset(each.split("|")) for each in named))


def read_row(line: str) -> Row:
    """Return a line of the table."""
    view, methods, needs, *rest = line.split()
    return Row(
        view,
        tuple(methods.split(",")),
        needs,
        tuple(
            (name, value)
            for name, _sign, value in (part.partition("=") for part in rest if "=" in part[1:] and part[0] != "?")
        ),
        next((part[1:] for part in rest if part[0] == "?"), ""),
        "404" in rest,
        "hidden" in rest,
    )


ROWS = [read_row(line) for line in PAGES.splitlines() if line and line[0] != "#"]


def read_pairs(text: str) -> dict[str, str]:
    """Return names with what they need, from "name:right name:right"; "" where that is nothing."""
    pairs = (pair.rpartition(":") for pair in text.split())
    return {name: need.removeprefix("-") for name, _sign, need in pairs}


JOBS = read_pairs(_JOBS)

# --- Scopes -----------------------------------------------------------------------------------
# Rows of ``permission_world`` on which a right is needed: a role for a scope counts where it covers all that a line names.
LOCATED = frozenset(
    ["group", "key", "version", "vault", "observation", "observed_group", "due_group", "job", "job_id", "many_job"]
)
# Requests about several objects: those outside of a scope are left out with the reason, and nothing is done with them.
LEAVING_OUT = frozenset(
    ["keygroups:rotation", "keygroups:reschedule", "jobs:start_many", "jobs:cancel_many", "jobs:retry_many"]
)
# Forms and answers that name no object yet; what they are sent about is checked then.
WITHOUT_OBJECT = frozenset(["keygroups:group_add", "keygroups:preview", "keygroups:vaults", "keygroups:vault_listing"])


def located_in(row: Row) -> list[str]:
    """The names in braces of a line that have a place."""
    text = " ".join([*(value for _name, value in row.arguments), row.query])
    return [name for name in sorted(LOCATED) if f"{{{name}}}" in text]
