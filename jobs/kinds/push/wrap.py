"""Wraps a batch's keys ahead of their import: while the vault answers for one key, the device wraps the next.

Owns the thread in which the device works, and the blobs until they are taken. Touches neither the database
nor the job's rows from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Self

from cloudcreds.provider.protocol import VaultGateway
from cloudcreds.provider.types import KekPublicKey
from hsm.device import Device
from hsm.mark_checks import MarkError, check_keys
from hsm.verified import VerifiedDestination, VerifiedKey
from jobs.models import JobTarget
from keygroups.marks import facts_of_key
from kmes.core import language
from kmes.core.errors import DeviceError

SLOW_SECONDS = 0.1


def is_about_key(error: BaseException) -> bool:
    """Return whether the device refused this key only: the next one may be wrapped."""
    return isinstance(error, MarkError) or (isinstance(error, DeviceError) and error.code == "wrapped_key_mismatch")


class WrapAhead:
    """Wraps the keys of one batch in order, on a thread of its own. Leaving the block stops the rest."""

    def __init__(
        self, device: Device, gateway: VaultGateway, kek: KekPublicKey, destination: VerifiedDestination
    ) -> None:
        self._device, self._gateway, self._kek, self._destination = device, gateway, kek, destination
        # One thread: a device serializes its operations anyway, and the order of the imports is known.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wrap")
        self._blobs: dict[int, Future[bytes]] = {}
        # Why keys of the last batch were refused for their marks, by the key's name.
        self.refused: dict[str, MarkError] = {}

    @property
    def kek_name(self) -> str:
        """The KEK's name in its vault."""
        return self._kek.name

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop wrapping keys and wait for the one that the device is wrapping."""
        self._thread.shutdown(cancel_futures=True)

    def start(self, batch: Sequence[JobTarget], *, when_slow: Callable[[], None]) -> None:
        """Check the marks of a batch, begin to wrap it, and wait for its first key.

        A key without its mark fails when it is taken. ``when_slow`` is called when the wait is noticeably long.

        Raises:
            DeviceError: the device can't wrap. Nothing has been announced to the vault yet.

        """
        claims = [(target.key.name, facts_of_key(target.key), bytes(target.key.mark)) for target in batch]
        checked = list(zip(batch, check_keys(self._device, claims), strict=True))
        self.refused = {target.key.name: found for target, found in checked if isinstance(found, MarkError)}
        for target, verified in checked:
            self._blobs[target.pk] = self._thread.submit(self._wrap, verified)
        first = self._blobs[batch[0].pk]
        if wait([first], timeout=SLOW_SECONDS).not_done:
            when_slow()
        error = first.exception()
        if error is not None and not is_about_key(error):
            raise error

    def _wrap(self, key: VerifiedKey | MarkError) -> bytes:
        if isinstance(key, MarkError):
            raise key
        # The device's messages end up in the job's log.
        with language.of_records():
            wrapped = self._device.wrap_for_kek(
                key, self._destination, kek_modulus=self._kek.modulus, kek_exponent=self._kek.exponent
            )
            return self._gateway.build_transfer_blob(self._kek, wrapped)

    def take(self, target: JobTarget) -> bytes:
        """Return a key's transfer blob, once.

        Raises:
            DeviceError: the device could not wrap the key.

        """
        return self._blobs.pop(target.pk).result()
