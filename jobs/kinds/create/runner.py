"""Create: make keys in the HSM and keep their private halves wrapped under the PMK.

A crash between the device and the commit leaves nothing: the key existed in a session only.
"""

from __future__ import annotations

import hashlib

from django.db import IntegrityError
from django.utils.translation import gettext as _

from jobs.choices import TargetState
from jobs.engine.creation import add_target
from jobs.engine.run import JobRun
from keygroups.models import Key, KeyGroup
from kmes.core.errors import ConflictError


def make_key(run: JobRun, group: KeyGroup, name: str, *, state: str) -> Key:
    """Make one key in the device; the row and the job's target are written together.

    Returns the key an earlier run of this job made under the name, if it did.

    Raises:
        ConflictError: another key has the name.
        DeviceError: the device can't make it.

    """
    made = run.job.targets.filter(key__name=name).select_related("key").first()
    if made is not None:
        return made.key
    generated = run.device().generate(group.spec)
    thumbprint = hashlib.sha256(generated.public_spki).hexdigest()
    try:
        with run.write():
            key = Key.objects.create(
                group=group,
                name=name,
                key_spec=group.key_spec,
                public_spki=generated.public_spki,
                wrapped_private=generated.wrapped_private,
                thumbprint=thumbprint,
                created_by=run.actor.name,
            )
            add_target(run.job, key, state=state)
            run.log("device.key_generated", f"{group.key_spec} key made in the device", key=key)
            run.log("key.created", f"Key {name} created", key=key)
    except IntegrityError as error:
        raise ConflictError(
            _("The group has a key “%(name)s” already.") % {"name": name}, _("Choose another name.")
        ) from error
    return key


def run_create(run: JobRun) -> None:
    """Make the keys whose names the job carries."""
    group = run.job.group
    if group is None:
        raise ConflictError(_("The key group no longer exists."))
    with run.step("generate_key"):
        for name in run.job.params["names"]:
            run.checkpoint()
            if run.job.targets.filter(key__name=name, state=TargetState.DONE).exists():
                continue
            make_key(run, group, name, state=TargetState.DONE)
            with run.write():
                run.say(run.spec.wording.one_done(name))
