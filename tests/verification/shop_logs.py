"""Logs of a small shop: noise that every release has, and four exceptions that only a broken one has."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pandas as pd

from airflow_cd.verification.logs.profile import LogProfile

START = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
INSTANCES = tuple(f"shop-{number:02}" for number in range(10))
CANARY, CONTROL = INSTANCES[:2], INSTANCES[2:]
_WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
_FAULTS = (
    ("gift", "redeem", "KeyError"),
    ("returns", "label", "ZeroDivisionError"),
    ("export", "dump", "shop.errors.ExportError"),
    ("wishes", "share", "TypeError"),
)
_FAULTY = 0.05  # share of requests on the broken paths


def shop_logs(
    rng: random.Random, instances: Sequence[str], seconds: float, *, broken: bool = False, rate: float = 4.0
) -> pd.DataFrame:
    """Records as a log source hands them out, from :data:`START` on.

    :param rate: records a second and instance.
    """
    rows = []
    for instance in instances:
        moment = rng.expovariate(rate)
        while moment < seconds:
            time = START + timedelta(seconds=moment)
            rows.append((time, instance, _record(rng, time, rate, broken)))
            moment += rng.expovariate(rate)
    frame = pd.DataFrame(sorted(rows), columns=["time", "instance", "message"])
    return frame.assign(time=pd.to_datetime(frame["time"], utc=True))


def shop_profile(rng: random.Random, instances: Sequence[str], seconds: float, *, broken: bool = False) -> LogProfile:
    """The same as a profile."""
    return LogProfile.of(shop_logs(rng, instances, seconds, broken=broken), watched=len(instances) * seconds)


@functools.cache
def usual_profile() -> LogProfile:
    """What all instances logged in a minute of a release before."""
    return shop_profile(random.Random(8), INSTANCES, 60)


def _record(rng: random.Random, time: datetime, rate: float, broken: bool) -> str:
    head = time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"
    number, word, chance = rng.randint(1, 99_999), rng.choice(_WORDS), rng.random()
    if broken and chance > 1.0 - _FAULTY:
        return f"{head} ERROR shop.web - request {number} failed\n" + _trace(rng, *rng.choice(_FAULTS))
    if chance < 0.02:
        return f"{head} WARN shop.checkout - card declined for customer c{number}"
    if chance < 0.03:
        return f"{head} ERROR shop.inventory - reservation of sku-{number} timed out after {rng.random() * 99:.1f} ms"
    if chance < 0.03 + 1 / (30 * 10 * rate):  # once in 30 s over ten instances
        return f"{head} ERROR shop.search - query for {word} failed\n" + _trace(
            rng, "search", "find", "shop.errors.SearchError"
        )
    page = rng.choice(("GET /product/", "GET /basket/", "POST /order/"))
    return f"{head} INFO shop.{rng.choice(('web', 'basket'))} - served {page}{number} 200 in {rng.random() * 20:.1f} ms"


def _trace(rng: random.Random, module: str, function: str, kind: str) -> str:
    return (
        "Traceback (most recent call last):\n"
        f'  File "/srv/shop/app.py", line {rng.randint(1, 99)}, in handle\n    return answer(request)\n'
        f'  File "/srv/shop/{module}.py", line {rng.randint(1, 99)}, in {function}\n    return rows[0]\n'
        f"{kind}: {rng.choice(_WORDS)} {rng.randint(1, 99_999)}"
    )
