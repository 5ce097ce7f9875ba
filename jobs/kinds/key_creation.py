"""Makes a key in the HSM and keeps its private half wrapped under the PMK, for create and rotate.

A crash between the device and the commit leaves nothing: the key existed in a session of the device only.
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
from kmes.core.ids import new_uuid


def make_key(run: JobRun, group: KeyGroup, name: str, *, state: TargetState) -> Key:
    """Make one key in the device, and record it as a target of the job with the given state.

    Returns the key that an earlier run of this job made under the name, if it did.

    Raises:
        ConflictError: another key has the name.
        DeviceError: the device can't make it.

    """
    made = run.job.targets.filter(key__name=name).select_related("key").first()
    if made is not None:
        run.check_target(made)
        return made.key
    key_id = new_uuid()
    generated = run.device().generate(group.spec, key_id=key_id, group_id=group.pk)
    thumbprint = hashlib.sha256(generated.public_spki).hexdigest()
    try:
        with run.write() as tx:
            key = Key.objects.create(
                id=key_id,
                group=group,
                name=name,
                key_spec=group.key_spec,
                public_spki=generated.public_spki,
                wrapped_private=generated.wrapped_private,
                mark=generated.mark,
                thumbprint=thumbprint,
                created_by=run.actor.name,
            )
            add_target(tx.job, key, state=state)
            tx.log("device.key_generated", f"{group.key_spec} key made in the device", key=key)
            tx.log("key.created", f"Key {name} created", key=key)
    except IntegrityError as error:
        raise ConflictError(
            _("The group has a key “%(name)s” already.") % {"name": name}, _("Choose another name.")
        ) from error
    return key
