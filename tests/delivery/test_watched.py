"""Whose log lines are whose while one process takes the place of another on the same instance."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.delivery.watched import begins
from airflow_cd.targets.base import Instance

HEALTHY = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
GRACE = timedelta(seconds=10)


def _instance(started: float | None) -> Instance:
    moment = None if started is None else HEALTHY + timedelta(seconds=started)
    return Instance("shop-1", "1.2", "shop:1.2", started=moment)


@pytest.mark.parametrize(
    ("started", "begin"),
    [
        (-3.0, None),  # it had ended before the new one was healthy
        (1.5, 1.5),
        (420.0, 10.0),  # it has started again since: what it logged before is the new release's as well
        (None, 10.0),  # the target cannot say, or both still run
    ],
)
def test_the_new_release_begins_where_the_old_process_ended(started: float | None, begin: float | None) -> None:
    found = begins([_instance(started)], ["shop-1"], replaced=["shop-1"], healthy=HEALTHY, grace=GRACE)
    assert found == ({} if begin is None else {"shop-1": HEALTHY + timedelta(seconds=begin)})


def test_where_nothing_ran_before_nothing_is_left_out() -> None:
    assert not begins([_instance(None)], ["shop-1"], replaced=[], healthy=HEALTHY, grace=GRACE)


def test_an_instance_that_the_target_no_longer_lists_has_its_grace() -> None:
    found = begins([], ["shop-1"], replaced=["shop-1", "shop-2"], healthy=HEALTHY, grace=GRACE)
    assert found == {"shop-1": HEALTHY + GRACE}
