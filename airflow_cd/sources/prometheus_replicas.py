"""Whether a server has the same series several times: of two Prometheus that scrape the same, or of two jobs of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from airflow_cd.hooks import promql

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PrometheusHook

LABELS = ("prometheus_replica", "__replica__", "replica", "receive_replica", "prometheus", "job")
"""Labels that say who has scraped a series, and nothing of what was scraped."""


def counted_again(
    hook: PrometheusHook, metric: str, label: str, where: str, names: Sequence[str], at: float
) -> Iterator[str]:
    """What is said of series that differ in nothing but who has scraped them: all of them are added up.

    :param hook: of the connection.
    :param metric: name of a counter.
    :param label: that holds the instances' names.
    :param where: further matchers; ``""`` for none.
    :param names: of some instances.
    :param at: when, in seconds since 1970.
    """
    selected = promql.selector(metric, where, promql.one_of(label, names))
    again = hook.instant(f"topk(1, count without ({', '.join(LABELS)}) ({selected}) > 1)", at).series
    if not again:
        return
    instance = again[0].labels.get(label, "")
    of_one = promql.selector(metric, where, f"{label}={promql.quoted(instance)}")
    there = hook.instant(f"count by ({', '.join(LABELS)}) ({of_one})", at).series
    for name in LABELS:
        values = sorted({one.labels[name] for one in there if one.labels.get(name)})
        if len(values) > 1 and name != label:
            times, kept = again[0].points[0][1], f"{name}={promql.quoted(values[0])}"
            yield (
                f"{metric} of {instance} is there {times:.0f} times, by {name} ({', '.join(values[:5])}), and all is "
                f"added up. Keep one: where='{kept}', or let the server deduplicate."
            )
