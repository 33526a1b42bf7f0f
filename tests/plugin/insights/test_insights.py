"""The figures: periods, what deployments come to, what is a change and what chance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, mannwhitneyu

from airflow_cd.ledger.insights import EndedDeployment, FailVerdict, Reach
from airflow_cd.plugin.insights import chance
from airflow_cd.plugin.insights.figures import (
    DEFAULT_PERIOD,
    MOST_SERVICES,
    PERIODS,
    Times,
    insight,
    numbers_of,
    period_of,
    reached_of,
    times,
)
from airflow_cd.plugin.insights.view import figures_of, services_of
from airflow_cd.plugin.insights.words import (
    compare_rates,
    compare_shares,
    compare_times,
    rate,
    share,
    span,
    step_names,
    typical,
)

NOW = datetime(2026, 7, 15, 16, 5, tzinfo=timezone.utc)

moments = st.datetimes(
    min_value=datetime(2001, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2199, 1, 1),  # noqa: DTZ001
    timezones=st.just(timezone.utc),
)


def deployment(
    state: str = "promoted", ended: datetime = NOW, service: str = "shop", **more: float | None
) -> EndedDeployment:
    given: dict[str, float | None] = {"lead": 600.0, **more}
    return EndedDeployment("storefront", service, state, ended.timestamp(), **given)  # type: ignore[arg-type]


def test_the_default_period_is_thirty_days_of_which_the_last_is_today() -> None:
    period = period_of("nonsense", NOW)
    assert (period.key, period.step, len(period.starts)) == (DEFAULT_PERIOD, "day", 30)
    assert period.since == datetime(2026, 6, 16, tzinfo=timezone.utc)
    assert period.starts[-1] == datetime(2026, 7, 15, tzinfo=timezone.utc)
    assert period.days == pytest.approx(29 + 16.0833 / 24, abs=0.001)


def test_a_year_is_this_month_and_the_eleven_before() -> None:
    period = period_of("365", NOW)
    assert [f"{start:%Y-%m-%d}" for start in period.starts][:6:5] == ["2025-08-01", "2026-01-01"]
    assert (len(period.starts), period.step) == (12, "month")


@settings(deadline=None)  # a busy machine is not a wrong answer
@given(moments, st.sampled_from(sorted(PERIODS)))
def test_every_period_is_whole_and_the_time_before_it_as_long(now: datetime, key: str) -> None:
    period = period_of(key, now)
    assert sorted(set(period.starts)) == list(period.starts)
    assert period.starts[-1] <= now == period.until
    assert period.since - period.before == period.until - period.since
    assert all(start == start.replace(hour=0, minute=0, second=0, microsecond=0) for start in period.starts)
    names = step_names(period)
    assert len(names) == len(period.starts) == len({name for _, name in names})
    assert names[-1][0]


def test_deployments_fall_into_their_step_or_the_time_before() -> None:
    period = period_of("7", NOW)
    found = insight(
        period,
        [
            deployment(ended=period.since),
            deployment(ended=period.since - timedelta(seconds=1)),
            deployment("rolled_back", ended=NOW),
            deployment("rollback_failed", ended=NOW),
        ],
        [FailVerdict("storefront", "shop", NOW.timestamp(), True), FailVerdict("storefront", "billing", 0.0, False)],
    )
    assert [(step.promoted, step.failed) for step in found.steps] == [(1, 0), *[(0, 0)] * 5, (0, 2)]
    assert (found.now.promoted, found.now.failed, found.now.unrestored) == (1, 2, 1)
    assert (found.before.promoted, found.before.failed) == (1, 0)
    assert (found.now.alarms, found.now.false_alarms, found.before.alarms) == (1, 1, 1)
    assert [service for service, _ in found.services] == ["shop"]


ended_rows = st.lists(
    st.builds(
        EndedDeployment,
        st.sampled_from(["p1", "p2"]),
        st.sampled_from(["shop", "billing"]),
        st.sampled_from(["promoted", "rolled_back", "rollback_failed"]),
        st.floats((NOW - timedelta(days=400)).timestamp(), NOW.timestamp()),
        st.floats(-10, 1e6),
        *[st.none() | st.floats(-10, 1e5)] * 3,
    ),
    max_size=40,
)
fail_rows = st.lists(
    st.builds(
        FailVerdict,
        st.just("p1"),
        st.sampled_from(["shop", "billing"]),
        st.floats((NOW - timedelta(days=400)).timestamp(), NOW.timestamp()),
        st.booleans(),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)  # a busy machine is not a wrong answer
@given(ended_rows, fail_rows, st.sampled_from(sorted(PERIODS)))
def test_nothing_is_lost_or_counted_twice(
    rows: Sequence[EndedDeployment], verdicts: Sequence[FailVerdict], key: str
) -> None:
    period = period_of(key, NOW)
    found = insight(period, rows, verdicts)
    for name in ("promoted", "failed", "unrestored", "ended", "alarms", "false_alarms"):
        total = getattr(numbers_of(rows, verdicts), name)
        steps = sum(getattr(step, name) for step in found.steps)
        assert steps == getattr(found.now, name) == sum(getattr(one, name) for _, one in found.services)
        assert steps + getattr(found.before, name) == total
    for taken in (found.now.lead, found.now.to_restored):
        assert taken.count == 0 or 0 <= taken.median <= taken.slowest  # type: ignore[operator]
        assert taken.count == 0 or taken.values[0] <= taken.most <= taken.slowest  # type: ignore[operator]
    for figure in figures_of(period, found):
        assert len(figure.rows) == len(period.starts)
        assert all(len(row) == 1 + len(figure.head) for row in figure.rows)
        if figure.chart is not None:
            tops = [column.solid + column.pale for column in figure.chart.columns]
            assert max(tops) == pytest.approx(100, abs=0.02)
            assert min(tops) >= 0
    assert len(services_of(found.services)) == len(found.services)


def test_times_know_their_middle_and_their_end() -> None:
    assert (Times().median, Times().most, Times().slowest) == (None, None, None)
    taken = times([None, *map(float, range(10, 0, -1))])
    assert (taken.count, taken.median, taken.most, taken.slowest) == (10, 5.5, 9.0, 10.0)
    assert times([3.0, 1.0]).most == 3.0
    assert times([-2.0]).values == [0.0]


def test_of_few_nothing_is_put_in_per_cent_or_called_typical() -> None:
    assert (share(1, 2), share(1, 4), share(0, 5), share(1, 5), share(1, 15)) == (
        "1 of 2",
        "1 of 4",
        "0 %",
        "20 %",
        "6.7 %",
    )
    assert (typical(times([])), typical(times([61.0])), typical(times([1.0, 3.0]))) == (
        "none",
        "1 min 1 s",
        "1.0 s to 3.0 s",
    )
    assert typical(times([1.0, 1.0, 4.0, 9.0, 9.0])) == "4.0 s"
    assert (rate(4, 30), rate(5, 30), rate(60, 30), rate(6, 365)) == ("4", "1.2 a week", "2 a day", "0.5 a month")
    period = period_of("30", NOW)
    assert "too few to compare" in compare_rates(2, 4, period).text
    assert compare_shares(1, 2, 20, 40).text == "50 % before (20 of 40): too few to compare"
    assert compare_shares(1, 2, 20, 40).tag == ""
    assert compare_times(times([1.0] * 3), times([9.0] * 40)).tag == ""
    few = insight(period, [deployment(), deployment("rolled_back", to_restored=9.0)], [])
    said = {figure.id: (figure.number, figure.of) for figure in figures_of(period, few)}
    assert said["failures"] == ("1 of 2", "too few deployments (2) for a percentage")
    assert said["restore"] == ("9.0 s", "too few timed rollbacks (1) for a median")
    assert said["lead"] == ("10 min", "too few promoted deployments (1) for a median")
    assert said["false-alarms"] == ("none", "no FAIL verdicts")
    assert said["frequency"] == ("1", "1 promoted in 30 days")


def test_a_change_is_said_in_words_and_called_better_or_worse() -> None:
    period = period_of("30", NOW)
    assert compare_rates(80, 20, period).tag == "▲ more often"
    assert compare_rates(20, 80, period).look == ""
    assert compare_rates(20, 22, period).tag == "≈ no clear change"
    worse, better = compare_shares(30, 100, 5, 100), compare_shares(5, 100, 30, 100)
    assert (worse.tag, worse.look, worse.text) == ("▲ higher: worse", "bad", "5.0 % before (5 of 100)")
    assert (better.tag, better.look) == ("▼ lower: better", "good")
    assert compare_shares(6, 100, 5, 100).tag == "≈ no clear change"
    slow, fast = times([float(n) for n in range(100, 130)]), times([float(n) for n in range(30)])
    assert compare_times(slow, fast).tag == "▲ longer: worse"
    assert compare_times(fast, slow).look == "good"
    assert compare_times(fast, fast).tag == "≈ no clear change"
    assert compare_times(fast, times([])).text == "none before"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (0.01, "0.01 s"), (59.0, "59.0 s"), (200, "3 min 20 s"), (600, "10 min")],
)
def test_a_short_duration_is_exact(seconds: float | None, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(3599, "1 h 0 min"), (7500, "2 h 5 min"), (172_000, "47 h 47 min"), (172_800, "2.0 days")]
)
def test_a_long_duration_is_coarse(seconds: float, words: str) -> None:
    assert span(seconds) == words


@settings(max_examples=80, deadline=None)  # a busy machine is not a wrong answer
@given(st.data())
def test_shares_differ_where_fishers_exact_test_says_so(data: st.DataObject) -> None:
    of, before = data.draw(st.integers(0, 80)), data.draw(st.integers(0, 80))
    few, few_before = data.draw(st.integers(0, of)), data.draw(st.integers(0, before))
    exact = fisher_exact([[few, of - few], [few_before, before - few_before]]).pvalue if of and before else 1.0
    if abs(exact - chance.LEVEL) > 1e-6:
        assert chance.shares_differ(few, of, few_before, before) == (exact < chance.LEVEL)


@settings(max_examples=80, deadline=None)  # a busy machine is not a wrong answer
@given(*[st.lists(st.integers(0, 12).map(float), min_size=1, max_size=30)] * 2)
def test_times_differ_where_the_rank_sum_test_says_so(values: list[float], before: list[float]) -> None:
    wanted = mannwhitneyu(values, before, method="asymptotic").pvalue if len({*values, *before}) > 1 else 1.0
    if abs(wanted - chance.LEVEL) > 1e-4:
        assert chance.times_differ(values, before) == (wanted < chance.LEVEL)


def test_counts_that_only_chance_moved_are_no_change() -> None:
    rng = random.Random(7)

    def drawn(mean: float) -> int:
        return sum(rng.random() < mean / 1000 for _ in range(1000))

    tries = [(drawn(20), drawn(20)) for _ in range(300)]
    assert sum(chance.counts_differ(*pair) for pair in tries) <= 0.08 * len(tries)
    assert chance.counts_differ(60, 20)
    assert not chance.counts_differ(0, 0)
    assert not chance.times_differ([], [1.0])


def test_of_many_services_those_with_most_deployments_are_told_of() -> None:
    rows = [deployment(service=f"s{number:02}") for number in range(MOST_SERVICES + 3)]
    rows += [deployment("rolled_back", service="s27"), deployment("rolled_back", service="s26")]
    verdicts = [FailVerdict("storefront", "s26", NOW.timestamp(), True)]
    found = insight(period_of("7", NOW), rows, verdicts)
    assert [service for service, _ in found.services] == ["s26", "s27", *(f"s{n:02}" for n in range(MOST_SERVICES - 2))]
    assert (found.services[0][1].ended, found.services[0][1].false_alarms) == (2, 1)
    assert found.others == 3


def test_the_last_environment_is_the_one_that_nothing_goes_on_from() -> None:
    assert reached_of([], {"storefront"}).last == ""
    reached = [
        Reach("storefront", "shop", "production", 60, 60),
        Reach("storefront", "shop", "staging", 100, 40),
        Reach("trial", "shop", "sandbox", 5, 5),
    ]
    may_see = {"storefront", "trial"}
    assert reached_of(reached, may_see).last == "production"
    assert reached_of(reached, {"trial"}).last == "sandbox"


def test_only_what_may_be_seen_can_be_asked_about() -> None:
    reached = [
        Reach("storefront", "shop", "production", 1, 1),
        Reach("storefront", "billing", "dev", 1, 1),
        Reach("secret", "vault", "bunker", 9, 9),
    ]
    found = reached_of(reached, {"storefront"}, "shop")
    assert (found.services, found.environments) == ({"shop", "billing"}, ["production"])
    assert reached_of(reached, {"storefront"}, "vault").environments == []
