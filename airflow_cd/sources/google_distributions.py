"""Distributions as Google Cloud Monitoring writes them: linear, exponential or explicit buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from airflow_cd.sources.distributions import Distribution, explicit


def distribution_of(given: Mapping[str, Any]) -> tuple[Distribution, float]:
    """A distribution, and the standard deviation of its measurements; NaN where it does not say it.

    :param given: ``{"count", "mean", "sumOfSquaredDeviation", "bucketOptions", "bucketCounts"}``; whole numbers are
        texts, and what is 0 is left out.
    """
    count = float(given.get("count") or 0)
    mean = float(given.get("mean") or 0.0)
    squares = given.get("sumOfSquaredDeviation")
    deviation = math.sqrt(max(0.0, float(squares)) / count) if squares is not None and count else math.nan
    counts = [float(one) for one in given.get("bucketCounts") or ()]
    bounds = _bounds(given.get("bucketOptions") or {})
    # Buckets at the end that are empty may be left out.
    buckets = explicit(counts, bounds[: max(len(counts), 1)]) if bounds else {}
    return Distribution(count, count * mean, buckets, ends=frozenset(bounds)), deviation


def _bounds(options: Mapping[str, Any]) -> list[float]:
    if "linearBuckets" in options:
        linear = options["linearBuckets"]
        width, offset = float(linear.get("width") or 0.0), float(linear.get("offset") or 0.0)
        bounds = [offset + width * place for place in range(int(linear.get("numFiniteBuckets") or 0) + 1)]
    elif "exponentialBuckets" in options:
        powers = options["exponentialBuckets"]
        growth, scale = float(powers.get("growthFactor") or 2.0), float(powers.get("scale") or 1.0)
        bounds = [scale * growth**place for place in range(int(powers.get("numFiniteBuckets") or 0) + 1)]
    else:
        bounds = [float(one) for one in (options.get("explicitBuckets") or {}).get("bounds") or ()]
    return bounds
