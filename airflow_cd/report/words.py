"""How the report says things: times, numbers and text from outside, for a person who has seconds."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

MISSING = "–"

_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff]"
    # Parts of a picture where one stands before them.
    "|(?<![\u203c-\u3299\ufe0f\U0001f000-\U0001faff])[\u200d\ufe00-\ufe0f]"
)


def visible(value: Any) -> Any:
    """Text in which nothing is invisible, reorders what stands beside it, or cannot be encoded; the rest as it is.

    Control characters become their pictures (``␛``), the others are named (``⟨U+202E⟩``).

    :param value: anything.
    """
    # Exactly str: a str that says it is markup already was cleaned when it was made.
    if type(value) is not str or not _UNSHOWABLE.search(value):
        return value
    return _UNSHOWABLE.sub(_picture, value.replace("\r\n", "\n"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def moment(text: str | None) -> datetime | None:
    """An ISO 8601 time in UTC, None when it is none; a time without a zone is taken for UTC.

    :param text: from outside.
    """
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed.astimezone(timezone.utc) if parsed.tzinfo else parsed.replace(tzinfo=timezone.utc)


def clock_time(text: str | None) -> str:
    """``08:14:05``, in UTC; what is not a time is given back as it is.

    :param text: ISO 8601.
    """
    parsed = moment(text)
    return parsed.strftime("%H:%M:%S") if parsed else (text or MISSING)


def full_time(text: str | None) -> str:
    """``2026-11-23 08:14:05 UTC``; what is not a time is given back as it is.

    :param text: ISO 8601.
    """
    parsed = moment(text)
    return parsed.strftime("%Y-%m-%d %H:%M:%S UTC") if parsed else (text or MISSING)


def seconds_between(began: str | None, ended: str | None) -> float | None:
    """Seconds from one ISO 8601 time to another, None where one is missing.

    :param began: ISO 8601; ``ended`` likewise.
    """
    first, last = moment(began), moment(ended)
    return (last - first).total_seconds() if first and last else None


def duration(seconds: float | None) -> str:
    """``0.42 s``, ``12.3 s``, ``3 min 20 s``, ``2 h 5 min``.

    :param seconds: None for unknown.
    """
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if abs(seconds) < 60:
        return f"{seconds:.2f} s" if abs(seconds) < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if abs(whole) < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: Any, unit: str = "") -> str:
    """Three significant digits with their unit; whole numbers whole; a ``share`` as per cent.

    :param value: None for unknown.
    :param unit: of the value; ``share`` for a share of 1.
    """
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING if value is None or isinstance(value, float) else str(value)
    if unit == "share":
        return f"{100 * value:.3g} %"
    whole = value == round(value) or abs(value) >= 100
    text = f"{round(value):,}" if whole else f"{value:.3g}"
    return f"{text} {unit}".strip()


def size(count: float) -> str:
    """Bytes as ``812 B``, ``4.1 MB``.

    :param count: of bytes.
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def change(value: float | None) -> str:
    """A relative change with its sign: ``+82 %``, ``−3.1 %``, ``13 times`` when it is that large.

    :param value: relative: 0.25 for 25 % more; None for unknown.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value >= 999:
        return "over a thousand times"
    if value >= 10:
        return f"{value + 1:.3g} times"
    percent = 100 * value
    if abs(percent) < 0.05:
        return "±0 %"
    return (f"{percent:+.0f} %" if abs(percent) >= 10 else f"{percent:+.1f} %").replace("-", "−")


def quoted(value: Any, limit: int = 160) -> str:
    """Text of others on one line, in which everything can be seen: line ends and tabs are pictures.

    :param value: any.
    :param limit: of characters.
    """
    text = str(value)[: 4 * limit].replace("\r\n", "\n").replace("\n", "␊").replace("\r", "␍").replace("\t", "␉")
    return one_line(str(visible(text)), limit)


def as_code(value: Any, limit: int = 160) -> str:
    """The same as code in Markdown, which no reader takes for markup.

    :param value: any.
    :param limit: of characters.
    """
    text = f"`{quoted(value, limit).replace('`', chr(0x2BC)) or ' '}`"
    whole = len(str(value))
    return f"{text} (of {whole:,} characters)" if whole > limit else text


def short(text: str, limit: int) -> str:
    """At most so many characters of it, with an ellipsis where something was left out.

    :param text: any.
    :param limit: of characters.
    """
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def one_line(text: str, limit: int = 160) -> str:
    """The beginning of it on one line.

    :param text: any.
    :param limit: of characters.
    """
    return short(" ".join(text[: 4 * limit].split()), limit)


def as_text(value: Any, limit: int = 400) -> str:
    """JSON values as a person writes them down: ``instances: a, b; share: 20``.

    :param value: JSON values.
    :param limit: of characters.
    """
    if isinstance(value, Mapping):
        text = "; ".join(f"{key}: {as_text(content, limit)}" for key, content in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(as_text(content, limit) for content in value)
    elif isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return short(text, limit)
