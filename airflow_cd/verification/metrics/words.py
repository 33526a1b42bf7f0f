"""Findings about a metric as a person would say them: the two figures first, and no change that contradicts them."""

from __future__ import annotations

import math

from airflow_cd.verification.samples import MetricKind

_TIMES = 1.0  # relative change from which on "times as much" is easier to read than per cent
_SMALL = 1e-4  # seconds: less is read in milliseconds
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_MORE: dict[MetricKind, tuple[str, str, str]] = {"latency": ("longer", "shorter", "as long")}


def number(value: float, unit: str = "") -> str:
    """A number with its unit: ``1,240 ms``, ``0.034``, ``612 MB``.

    :param value: of the metric.
    :param unit: of the value; ``""`` for none.
    """
    if unit == "bytes" and math.isfinite(value):
        for size, name in _BYTES:
            if abs(value) >= size:
                return f"{_plain(value / size)} {name}"
    if unit == "s" and 0.0 < abs(value) < _SMALL:
        return f"{_plain(1000.0 * value)} ms"
    return f"{_plain(value)} {unit}".rstrip()


def _plain(value: float) -> str:
    if not math.isfinite(value):
        return "endless"
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def share(part: float) -> str:
    """A share in per cent: ``3.75 %``.

    :param part: from 0 to 1.
    """
    return f"{_plain(100.0 * part)} %"


def change(effect: float, kind: MetricKind = "gauge") -> str:
    """A relative change: ``31 % more``, ``4.7 times as much``, ``about the same``.

    :param effect: relative, 0.31 for 31 % more.
    :param kind: of the metric.
    """
    more, less, times = _MORE.get(kind, ("more", "less", "as much"))
    if not math.isfinite(effect):
        return f"far {more}" if more == "longer" else "many times as much"
    if abs(effect) < 0.005:
        return "about the same"
    if effect == -1.0:
        return "none any more"
    if effect <= -0.995:
        return "next to nothing" if effect < -0.9995 else f"{-effect:.1%} {less}".replace("%", " %")
    if effect >= _TIMES:
        return f"{_plain(1.0 + effect)} times {times}" if effect < 999 else f"over a thousand times {times}"
    return f"{abs(effect):.0%} {more if effect > 0 else less}".replace("%", " %")


def duration(seconds: float) -> str:
    """A time as people say it: ``40 s``, ``12 min``, ``3 h``.

    :param seconds: how long.
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"
