"""Makes the files of the state folder ready for a start: those that are missing, and whose they are."""

from __future__ import annotations

import compileall
import os

from kmes.core.separation import SeparationRecord, write_record
from kmes.supervision import part_users, state_files
from kmes.supervision.instance import ROOT, Instance
from kmes.supervision.output import show
from kmes.supervision.part_users import PartUsers
from kmes.supervision.processes import (
    make_secret_key,
    write_redis_configuration,
    write_request_keys,
    write_second_factor_key,
)


def prepare_files(instance: Instance) -> PartUsers | None:
    """Make the files that several processes need, and give each process its own if it has a user of its own.

    Returns the users. The instance's folders exist, and none of its processes runs. Raises StartError when something
    prevents the start.
    """
    state_files.arrange(instance)
    write_redis_configuration(instance)
    write_request_keys(instance)
    write_second_factor_key(instance)
    make_secret_key(instance)
    if os.geteuid() == 0:
        # Other users must reach the folder before they can be asked what they reach.
        instance.state_dir.chmod(0o711)
    separation = part_users.choose(instance)
    if separation.users:
        state_files.hand_over(instance, separation.users)
        compile_code()
    else:
        state_files.keep_to_owner(instance)
    write_record(instance.state_dir, SeparationRecord(separation.reason, separation.is_warning))
    if separation.is_warning:
        show(f"WARNING: all processes run as root and can read the PIN, because {separation.reason}.")
        show("         docs/threat-model.md says what that means, docs/configuration.md how to change it.")
    return separation.users


def compile_code() -> None:
    """Compile what changed, because processes with users of their own may not write beside the code."""
    for package in ROOT.glob("*/__init__.py"):
        if package.parent.name != "tests":
            compileall.compile_dir(package.parent, quiet=2)
