"""Codes with which gRPC answers: their names, and which of them say that the server failed.

Which do is as OpenTelemetry's conventions have it for spans of servers, and the status that stands for each as in
``google/rpc/code.proto``. A client's mistake (``NotFound``, ``InvalidArgument``) is none.
"""

from __future__ import annotations

import re

NAMES_OF_CODES = (
    *("OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists"),
    *("PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented"),
    *("Internal", "Unavailable", "DataLoss", "Unauthenticated"),
)
"""By their numbers."""
_STATUSES = {
    **dict.fromkeys(("internal", "unknown", "dataloss"), 500),
    "unimplemented": 501,
    "unavailable": 503,
    "deadlineexceeded": 504,
}
_NUMBERS = {str(number): name.lower() for number, name in enumerate(NAMES_OF_CODES) if name.lower() in _STATUSES}
_NAMED = r"(?i:internal|unknown|data_?loss|unimplemented|unavailable|deadline_?exceeded)"
_FIELD = r"\bgrpc[._-]?(?:response[._-])?(?:status[._-]?code|status|code)[\"']?[=:] ?[\"']?"
_FAILED = re.compile(
    rf"{_FIELD}({_NAMED}|{'|'.join(_NUMBERS)})(?![\w.])"
    # As records of JSON are unfolded, where others write such names too.
    r"|\bcode=(Internal|DataLoss|Unimplemented|Unavailable|DeadlineExceeded)(?![\w.])"
)


def failed_with(text: str) -> int | None:
    """The status of HTTP that stands for the code with which a server of gRPC failed; None where it says no such code.

    :param text: a message, or the template of one.
    """
    found = _FAILED.search(text) if "grpc" in text or "code=" in text else None
    if found is None:
        return None
    code = (found[1] or found[2]).lower().replace("_", "")
    return _STATUSES[_NUMBERS.get(code, code)]


def name_of_code(field: str, value: object) -> str | None:
    """The name of a code that a record has as a number; None where it is none.

    :param field: name of the field, in small letters.
    :param value: what it holds.
    """
    if "rpc" not in field or isinstance(value, bool):
        return None
    number = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
    return NAMES_OF_CODES[number] if isinstance(number, int) and 0 <= number < len(NAMES_OF_CODES) else None
