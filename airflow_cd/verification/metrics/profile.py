"""Metric profiles: what the metrics of a good deployment taught about what is normal; small, and mergeable.

Not how fast a service is, which the control of the same minute knows better, but how much like instances differ, how
much a measurement varies, and how long it stays off once it is. All sums, kept as whole numbers of millionths, so that
profiles of phases and deployments merge in any order into the very same bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from airflow_cd.errors import VerificationError
from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT, Taught, inflation

METRIC_PROFILE_VERSION = 1
_MAGIC = b"ACDM"
_PART = 1_000_000


@dataclass(frozen=True)
class Lesson:
    """Sums over comparisons in which nothing was wrong; add them up as you like.

    :param squares: deviations of single measurements, relative and squared; ``freedom`` their degrees of freedom.
    :param lag: the correlation of neighbouring buckets times that freedom.
    :param host_squares: squared differences between like instances on the log scale, sampling taken out;
        ``host_freedom`` their degrees of freedom.
    """

    squares: Any
    freedom: Any
    lag: Any
    host_squares: Any
    host_freedom: Any

    @classmethod
    def of(cls, comparison: Comparison) -> Lesson:
        """What a comparison teaches: arrays where it is of many cases.

        :param comparison: of a good deployment.
        """
        spread = np.divide(
            comparison.squares,
            comparison.freedom,
            out=np.zeros_like(np.asarray(comparison.squares, dtype=float)),
            where=comparison.freedom > 0,
        )
        longer = spread * inflation(np.clip(comparison.lag, 0.0, 0.95), comparison.buckets)
        # A good release moves the canary as a whole a little: that too is normal.
        sides = 1.0 / np.maximum(comparison.instances, 1.0) + 1.0 / np.maximum(comparison.control_instances, 1.0)
        moved = (comparison.log_ratio**2 - comparison.sampling * longer) / sides
        return cls(
            comparison.squares,
            comparison.freedom,
            comparison.lag * comparison.freedom,
            comparison.host_squares - comparison.host_noise * longer + moved,
            comparison.host_freedom + 1.0,
        )

    def plus(self, other: Lesson) -> Lesson:
        """Both together.

        :param other: sums over other comparisons.
        """
        return Lesson(*(getattr(self, known.name) + getattr(other, known.name) for known in fields(self)))

    def taught(self) -> Taught:
        """What is to be expected after this."""
        freedom, hosts = np.maximum(self.freedom, 1e-9), np.maximum(self.host_freedom, 1e-9)
        return Taught(
            self.squares / freedom,
            self.freedom,
            self.lag / freedom,
            np.maximum(self.host_squares / hosts, 0.0),
            self.host_freedom,
        )


@dataclass
class MetricProfile:
    """What good deployments taught about the metrics of one source.

    :param sums: for each metric its :class:`Lesson` in millionths, whole numbers, in the order of its fields.
    :param deployments: how many phases of deployments it rests on.
    :param bucket_ms: width of the buckets; 0 while it holds nothing.
    """

    sums: dict[str, tuple[int, ...]] = field(default_factory=dict)
    deployments: int = 0
    bucket_ms: int = 0

    @classmethod
    def of(cls, comparisons: Mapping[str, Comparison], bucket_ms: int) -> MetricProfile:
        """The profile of one phase.

        :param bucket_ms: width of the buckets in milliseconds.
        :param comparisons: of each metric, by name; those without a degree of freedom teach nothing.
        """
        sums = {}
        for name, comparison in comparisons.items():
            lesson = Lesson.of(comparison)
            values = [float(getattr(lesson, known.name)) for known in fields(lesson)]
            if comparison.freedom > 0 and comparison.ratio > 0 and np.isfinite(values).all():
                sums[name] = tuple(round(value * _PART) for value in values)
        return cls(sums, 1, bucket_ms)

    @classmethod
    def merge(cls, *profiles: MetricProfile) -> MetricProfile:
        """All of them together, whatever the order.

        Only profiles with the same width of buckets speak of the same thing: where they differ, the width with the
        most deployments (of equally many, the narrowest) counts, and the others are left out.
        """
        widths: dict[int, int] = {}
        for profile in profiles:
            if profile.deployments:
                widths[profile.bucket_ms] = widths.get(profile.bucket_ms, 0) + profile.deployments
        if not widths:
            return cls()
        width = min(widths, key=lambda known: (-widths[known], known))
        return cls.of_width(width, *profiles)

    @classmethod
    def of_width(cls, bucket_ms: int, *profiles: MetricProfile) -> MetricProfile:
        """Those with buckets of this width together.

        :param bucket_ms: width of the buckets in milliseconds.
        """
        merged = cls(bucket_ms=bucket_ms)
        for profile in profiles:
            if profile.bucket_ms == bucket_ms and profile.deployments:
                merged.deployments += profile.deployments
                for name, values in profile.sums.items():
                    known = merged.sums.get(name, (0,) * len(values))
                    merged.sums[name] = tuple(one + other for one, other in zip(known, values, strict=True))
        return merged

    def prefixed(self, prefix: str) -> MetricProfile:
        """The same with every metric's name behind a prefix.

        :param prefix: text to put before each name.
        """
        return MetricProfile(
            {prefix + name: values for name, values in self.sums.items()}, self.deployments, self.bucket_ms
        )

    def taught(self, metric: str) -> Taught:
        """What is known about a metric.

        :param metric: name of the metric.
        """
        values = self.sums.get(metric)
        return NOTHING_TAUGHT if values is None else Lesson(*(value / _PART for value in values)).taught()

    def to_bytes(self) -> bytes:
        """Compact and versioned; read back by :meth:`from_bytes`. Equal profiles give equal bytes."""
        content = {
            "deployments": self.deployments,
            "bucket_ms": self.bucket_ms,
            "sums": {name: list(values) for name, values in sorted(self.sums.items())},
        }
        text = json.dumps(content, separators=(",", ":"))
        return _MAGIC + bytes([METRIC_PROFILE_VERSION]) + zlib.compress(text.encode(), 6)

    @classmethod
    def from_bytes(cls, content: bytes) -> MetricProfile:
        """Read what :meth:`to_bytes` wrote; raises :class:`~airflow_cd.errors.VerificationError` if it is none."""
        if content[: len(_MAGIC)] != _MAGIC or len(content) <= len(_MAGIC):
            raise VerificationError("these bytes are not a metric profile.", next_step=_LEARN_AGAIN)
        version = content[len(_MAGIC)]
        if version > METRIC_PROFILE_VERSION:
            raise VerificationError(
                f"the metric profile is of version {version}, this installation reads up to {METRIC_PROFILE_VERSION}.",
                next_step="Upgrade airflow-cd here to the version that wrote it.",
            )
        try:
            read: Mapping[str, Any] = json.loads(zlib.decompress(content[len(_MAGIC) + 1 :]))
            sums = {str(name): tuple(int(value) for value in values) for name, values in read["sums"].items()}
            if any(len(values) != len(fields(Lesson)) for values in sums.values()):
                raise ValueError("a metric has another number of sums")
            return cls(sums, int(read["deployments"]), int(read["bucket_ms"]))
        except (zlib.error, ValueError, KeyError, AttributeError, TypeError, OverflowError, RecursionError) as error:
            raise VerificationError(f"the metric profile is damaged: {error}.", next_step=_LEARN_AGAIN) from error


_LEARN_AGAIN = "Learn the baseline again from a good deployment."
