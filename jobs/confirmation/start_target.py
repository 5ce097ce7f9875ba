"""What a job is asked about: the objects that the address of a start page names."""

from __future__ import annotations

from dataclasses import dataclass

from cloudcreds.models import CloudCredential, KeyVault
from keygroups.models import CloudVersion, Key, KeyGroup, Observation
from keygroups.selection import KeySelection, digest_of_keys
from kmes.accounts.scopes import Located


@dataclass(frozen=True)
class StartTarget:
    """The objects a new job is about, as far as the address names them.

    The ``the_…`` properties return what a kind needs; ``jobs.pages.confirmations`` has made sure that it is there.
    """

    group: KeyGroup | None = None
    keys: tuple[Key, ...] = ()
    version: CloudVersion | None = None
    enabled: bool | None = None
    credential: CloudCredential | None = None
    vault: KeyVault | None = None
    observations: tuple[Observation, ...] = ()
    # How the keys were named where several were picked; None: one by one in the address.
    selection: KeySelection | None = None

    @property
    def the_group(self) -> KeyGroup:
        """The key group."""
        assert self.group is not None
        return self.group

    @property
    def the_credential(self) -> CloudCredential:
        """The cloud credential."""
        assert self.credential is not None
        return self.credential

    @property
    def the_version(self) -> CloudVersion:
        """The version in the vault."""
        assert self.version is not None
        return self.version

    def objects(self) -> list[Located]:
        """Return what a right is needed on. A credential has no place: a job about one needs its right everywhere."""
        named = (self.group, self.version, *self.keys, *self.observations)
        return [each for each in named if each is not None]

    def carried(self) -> list[tuple[str, str]]:
        """Return the form fields that carry a selection on to the next step."""
        if self.selection is None:
            return []
        return [*self.selection.fields(), ("seen", digest_of_keys(self.keys))]


def is_enough(_target: StartTarget) -> bool:
    """Accept whatever the address names."""
    return True
