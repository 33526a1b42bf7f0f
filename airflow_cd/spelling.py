"""Names that nobody knows, and the known ones that are nearest to them."""

from __future__ import annotations

import difflib
from collections.abc import Collection

_LISTED = 8


def nearest(name: str, known: Collection[str]) -> str:
    """The known name that is most like a name, ``""`` where none is like it.

    :param name: as it was written.
    :param known: the right names.
    """
    plain = {one.casefold(): one for one in known}
    close = difflib.get_close_matches(name.casefold(), plain, n=1, cutoff=0.6)
    return plain[close[0]] if close else ""


def suggestion(name: str, known: Collection[str]) -> str:
    """What a person may have meant by a name: ``did you mean 'production'?``, or the names that there are.

    :param name: as it was written.
    :param known: the right names.
    """
    if meant := nearest(name, known):
        return f"did you mean {meant!r}?"
    if not known:
        return "there are none"
    listed = sorted(known)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"there {'is' if len(listed) == 1 else 'are'} {', '.join(listed[:_LISTED])}{more}"
