"""The operations of the matrix: how each is set up and asked for, its moments, and its calls to Azure.

``moments`` and ``calls`` are complete: ``test_operations`` runs each operation and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from jobs.kinds.cloud_delete.spec import request_cloud_delete
from jobs.kinds.cloud_purge.spec import request_cloud_purge
from jobs.kinds.cloud_recover.spec import request_cloud_recover
from jobs.kinds.create.spec import request_create_keys
from jobs.kinds.destroy.spec import request_destroy
from jobs.kinds.rotate.spec import request_rotation
from jobs.kinds.set_enabled.spec import request_set_enabled
from jobs.kinds.set_rotation_policy.spec import request_set_rotation_policy
from jobs.kinds.synchronize.spec import request_synchronize

NAME = "payments"


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        prepare: brings the world to where the operation makes sense and asks for it; returns the job.
        moments: the failpoints passed, in order of first passing.
        calls: the calls to Azure as (label, method, path pattern).

    """

    name: str
    prepare: Callable[[object], object]
    moments: tuple[str, ...]
    calls: tuple[tuple[str, str, str], ...] = ()


PREFLIGHT = ("push.before_preflight", "push.after_preflight")
PUSH = (
    *PREFLIGHT,
    "push.before_create_kek",
    "kek.before_create",
    "azure.sending_post",
    "kek.after_create",
    "push.after_create_kek",
    "push.before_wrap_key",
    "push.after_wrap_key",
    "push.before_import",
    "azure.sending_put",
    "push.after_import",
    "kek.before_delete",
    "azure.sending_delete",
    "kek.after_delete",
    "kek.before_purge",
    "kek.after_purge",
)
TOKEN = ("token", "POST", "*/oauth2/v2.0/token")
VERSIONS = ("list_versions", "GET", f"/keys/{NAME}/versions")
CURRENT = ("read_current", "GET", f"/keys/{NAME}")
DELETED = ("read_deleted", "GET", f"/deletedkeys/{NAME}")
AUTHORITY = ("read_authority", "GET", "*/v2.0/.well-known/openid-configuration")
LIVE_DELETE = ("delete_key", "DELETE", f"/keys/{NAME}")
PUSH_CALLS = (
    AUTHORITY,
    TOKEN,
    VERSIONS,
    DELETED,
    ("create_kek", "POST", "/keys/kmes-kek-*/create"),
    ("import_key", "PUT", f"/keys/{NAME}"),
    CURRENT,
    ("delete_kek", "DELETE", "/keys/kmes-kek-*"),
    ("await_kek", "GET", "/deletedkeys/kmes-kek-*"),
    ("purge_kek", "DELETE", "/deletedkeys/kmes-kek-*"),
)


def _create(world):

    return request_create_keys(group=world.group, names=["one"], actor=world.actor)


def _push(count):
    def prepare(world):

        keys = world.make_keys(*[f"key-{number}" for number in range(count)])
        return request_synchronize(keys=keys, actor=world.actor)

    return prepare


def _rotate_forced(world):

    return request_rotation(group=world.group, actor=world.actor)


def _rotate_due(world):
    from jobs.models import Job
    from jobs.schedule import scans
    from keygroups.models import KeyGroup
    from kmes.core.clock import now

    due = now() - timedelta(minutes=5)
    KeyGroup.objects.filter(pk=world.group.pk).update(
        rotation_anchor_at=due - timedelta(days=90), next_due_at=due, rotate=True
    )
    (job_id,) = scans.scan_rotations()
    return Job.objects.get(pk=job_id)


def _disable(world):

    key = world.push_one()
    return request_set_enabled(version=key.cloud_versions.get(), enabled=False, actor=world.actor)


def _delete(world):

    world.push_one()
    return request_cloud_delete(group=world.group, actor=world.actor)


def _recover(world):

    world.run(_delete(world))
    return request_cloud_recover(group=world.group, actor=world.actor)


def _purge(world):

    world.run(_delete(world))
    return request_cloud_purge(group=world.group, actor=world.actor)


def _destroy(world):

    return request_destroy(keys=[world.push_one()], actor=world.actor)


def _set_rotation_policy(world):

    world.push_one()
    world.rotate_in_azure()
    return request_set_rotation_policy(group=world.group, actor=world.actor)


def _on_azure_key(area, verb):
    """The moments of a job on the whole Azure key."""
    steps = ("preflight", f"{verb}_key", "record")
    moments = [f"{area}.{when}_{step}" for step in steps for when in ("before", "after")]
    method = "post" if verb == "recover" else "delete"
    moments[3:3] = [f"{area}.before_{verb}", f"azure.sending_{method}", f"{area}.after_{verb}"]
    return tuple(moments)


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("create", _create, ("create.before_generate_key", "create.after_generate_key")),
        Operation("push one", _push(1), PUSH, PUSH_CALLS),
        Operation("push three", _push(3), PUSH, PUSH_CALLS),
        Operation(
            "rotate forced", _rotate_forced, ("push.before_generate_key", "push.after_generate_key", *PUSH), PUSH_CALLS
        ),
        Operation(
            "rotate due", _rotate_due, ("push.before_generate_key", "push.after_generate_key", *PUSH), PUSH_CALLS
        ),
        Operation(
            "disable",
            _disable,
            (
                "set_enabled.before_disable_version",
                "set_enabled.before_update",
                "azure.sending_patch",
                "set_enabled.after_update",
                "set_enabled.after_disable_version",
            ),
            (VERSIONS, ("disable_version", "PATCH", f"/keys/{NAME}/*")),
        ),
        Operation("delete", _delete, _on_azure_key("cloud_delete", "delete"), (VERSIONS, LIVE_DELETE, CURRENT)),
        Operation(
            "recover",
            _recover,
            _on_azure_key("cloud_recover", "recover"),
            (VERSIONS, CURRENT, DELETED, ("recover_key", "POST", f"/deletedkeys/{NAME}/recover")),
        ),
        Operation(
            "purge",
            _purge,
            _on_azure_key("cloud_purge", "purge"),
            (VERSIONS, CURRENT, DELETED, ("purge_key", "DELETE", f"/deletedkeys/{NAME}")),
        ),
        Operation(
            "set rotation policy",
            _set_rotation_policy,
            (
                "set_rotation_policy.before_set_rotation_policy",
                "set_rotation_policy.before_rotation_policy",
                "azure.sending_put",
                "set_rotation_policy.after_rotation_policy",
                "set_rotation_policy.after_set_rotation_policy",
            ),
            (
                ("read_policy", "GET", f"/keys/{NAME}/rotationpolicy"),
                ("set_policy", "PUT", f"/keys/{NAME}/rotationpolicy"),
            ),
        ),
        Operation("destroy", _destroy, ("destroy.before_destroy_key", "destroy.after_destroy_key")),
    )
}
