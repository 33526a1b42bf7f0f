"""What is remembered of a stack trace, and which of its functions are the application's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FRAMES_KEPT = 3
REASON_LENGTH = 80

_FRAMEWORK = re.compile(
    r"(?:site-packages|dist-packages|/lib/python|[\\/]lib[\\/]python|<frozen |<string>|node_modules|node:|\binternal/"
    r"|/rustc/|/vendor/|/gems/|/usr/local/go/|\(stdlib |\(elixir )"
    r"|^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|scala|org\.springframework|org\.apache|org\.hibernate|org\.eclipse"
    r"|io\.netty|reactor|io\.undertow|org\.jboss|System|Microsoft|runtime|net/http|std|core|alloc|tokio|__libc_start"
    r"|rust_begin_unwind|rust_panic|__rust|backtrace|_start|abort|raise|__GI|gsignal)(?:[./:_]|$)"
)
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|\S*\d\S*")


@dataclass(frozen=True)
class StackTrace:
    """What is remembered of a stack trace.

    :param classes: exception classes, the one that was reported first, its root cause last.
    :param frames: functions of the root cause, nearest to the fault first, at most :data:`FRAMES_KEPT`.
    """

    classes: tuple[str, ...]
    frames: tuple[str, ...]


def nearest(frames: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Names of the nearest application functions out of (place, name), nearest first; any if none is.

    :param frames: nearest to the fault first.
    """
    own = [name for place, name in frames if not _FRAMEWORK.search(place) and not _FRAMEWORK.search(name)]
    return tuple((own or [name for _, name in frames])[:FRAMES_KEPT])


def reason(text: str) -> str:
    """The words of a crash's reason without the values in them.

    :param text: as it was logged.
    """
    return _VALUE.sub("<*>", " ".join(text.split()))[:REASON_LENGTH].strip()
