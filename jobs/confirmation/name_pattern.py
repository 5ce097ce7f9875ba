"""Names of several new keys by a pattern: ``tde-{n:02}`` from 1 to 20 gives ``tde-01`` to ``tde-20``."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from keygroups.fields import clean_key_name
from kmes.core.errors import InputError

# So many keys one pattern makes.
MAX_KEYS = 500
MAX_NUMBER = 999_999
_PLACE = re.compile(r"\{n(?::0([1-6]))?\}")


def expand_names(pattern: str, first: int, last: int) -> list[str]:
    """Return the names that a pattern gives for the numbers from ``first`` to ``last``.

    ``{n}`` stands for the number, ``{n:02}`` for the number with at least two digits.

    Raises:
        InputError: the pattern has no place for the number, or a name can't be used (field "pattern"); or the numbers
            give none, or too many (field "last").

    """
    rest = _PLACE.sub("", pattern)
    if len(_PLACE.findall(pattern)) != 1 or "{" in rest or "}" in rest:
        raise InputError(
            _("The pattern needs one place for the number."),
            _("Write {n}, or {n:02} for two digits: tde-{n:02}."),
            field="pattern",
        )
    if last < first:
        raise InputError(_("The last number is smaller than the first."), _("Exchange them."), field="last")
    if last - first >= MAX_KEYS:
        raise InputError(
            _("These are %(count)s keys; one pattern makes up to %(most)s.")
            % {"count": f"{last - first + 1:,}", "most": f"{MAX_KEYS:,}"},
            _("Choose fewer numbers, and make the others afterwards."),
            field="last",
        )
    place = _PLACE.search(pattern)
    assert place is not None
    before, after, digits = pattern[: place.start()], pattern[place.end() :], place[1] or "1"
    try:
        return [clean_key_name(f"{before}{number:0{digits}}{after}") for number in range(first, last + 1)]
    except InputError as error:
        raise InputError(error.what, error.remedy, field="pattern") from error
