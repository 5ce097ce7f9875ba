"""What each menu entry and each matter of "What needs attention" needs; belongs to ``permission_table``."""

from __future__ import annotations

# The entries of each menu with what they need; "-" needs no more than to see the object.
MENUS = {
    "credential": "edit:credential.manage test:credential.manage make_certificate:credential.manage"
    " list_vaults:vault.list permissions:- delete:credential.manage",
    "credentials": "add:credential.manage",
    "group": "create:key.create create_pattern:key.create edit:group.manage synchronize:key.push rotate:key.rotate"
    " cloud_delete:cloud.delete cloud_recover:cloud.delete cloud_purge:cloud.purge check_drift:key.push"
    " set_tags:key.push permissions:- delete:group.manage",
    "groups": "add:group.manage",
    "job": "open:- cancel:job.cancel retry-approval.manage:approval.manage retry-cloud.delete:cloud.delete"
    " retry-cloud.purge:cloud.purge retry-credential.manage:credential.manage retry-device.manage:device.manage"
    " retry-key.create:key.create retry-key.destroy:key.destroy retry-key.disable:key.disable retry-key.push:key.push"
    " retry-key.rotate:key.rotate retry-vault.list:vault.list",
    "jobs": "running:- failed:- mine:- all:-",
    "key": "synchronize:key.push disable:key.disable enable:key.disable copy_identifier:- properties:-"
    " destroy:key.destroy",
    "keys": "synchronize:key.push disable:key.disable enable:key.disable destroy:key.destroy many_rotate:key.rotate many_synchronize:key.push"
    " many_check_drift:key.push copy_identifiers:key.push",
    "selected_groups": "many_rotate:key.rotate many_synchronize:key.push many_check_drift:key.push"
    " rotation:group.manage reschedule:group.manage many_set_enabled:key.disable many_cloud_delete:cloud.delete",
    "user": "edit:user.manage give_role:user.manage reset_password:user.manage reset_factor:user.manage unlink:user.manage reactivate:user.manage"
    " deactivate:user.manage",
    "selected_users": "end_sessions:user.manage reactivate:user.manage deactivate:user.manage",
    "selected_jobs": "retry:key.push cancel:job.cancel",
    "users": "add:user.manage",
    "role": "open:- edit:role.manage copy:role.manage delete:role.manage",
    "roles": "add:role.manage",
    "vault": "add:group.manage many_rotate:key.rotate many_synchronize:key.push many_check_drift:key.push open:- permissions:-"
    " credential:-",
    "version": "disable:key.disable enable:key.disable",
}
# Where each menu is shown: the view, with the arguments and the query as in ``PAGES``.
MENU_PAGES = {
    "credential": "cloudcreds:actions GET console.read credential_id={credential}",
    "credentials": "ui:background GET console.read target=credentials",
    "group": "keygroups:group_actions GET console.read group_id={group}",
    "groups": "keygroups:groups_actions GET console.read",
    "job": "jobs:actions GET console.read code={job}",
    "jobs": "ui:background GET console.read target=jobs",
    "key": "keygroups:key_actions GET console.read key_id={key}",
    "keys": "keygroups:selection_actions POST console.read ?selection=1&key={key}",
    "selected_groups": "keygroups:group_selection_actions POST console.read ?group_selection=1&picked={group}",
    "user": "accounts:user_actions GET console.read user_id={user}",
    "selected_users": "accounts:users_actions POST console.read ?key={user}",
    "selected_jobs": "jobs:jobs_actions POST console.read ?key={job_id}",
    "users": "ui:background GET console.read target=users",
    "role": "accounts:role_actions GET console.read role={role}",
    "roles": "ui:background GET console.read target=roles",
    "vault": "keygroups:vault_actions GET console.read vault_id={vault}",
}

# What each matter of "What needs attention" needs to be acknowledged.
MATTERS = (
    "redis:configuration.manage worker:configuration.manage no-fit-worker:configuration.manage"
    " releases:configuration.manage beat:configuration.manage no-device:device.manage device:device.manage"
    " silent-device:device.manage mfk:device.manage separation:configuration.manage administrators:user.manage"
    " schedule-held:key.rotate late-rotations:key.rotate failed-jobs:job.cancel paused-vaults:credential.manage"
    " missing-versions:key.push drift:key.disable expiring-versions:key.rotate keks:key.push"
    " failing-credentials:credential.manage expiring-secrets:credential.manage untested-credentials:credential.manage"
    " unseen-vaults:credential.manage break-glass:approval.manage"
)
