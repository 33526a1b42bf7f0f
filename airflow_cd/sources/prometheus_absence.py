"""Why there is nothing: no such metric, none with these labels, none of these instances, or nothing that happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks import promql
from airflow_cd.sources.buckets import utc_now
from airflow_cd.spelling import suggestion
from airflow_cd.verification.samples import Window

if TYPE_CHECKING:
    from airflow_cd.hooks.prometheus import PrometheusHook
    from airflow_cd.sources.prometheus_signals import Traffic

LOOKED_FOR = timedelta(hours=1)
"""How long before a window a metric may have had data last."""
_LISTED = 5


def looked_for(window: Window) -> tuple[datetime, datetime]:
    """When a metric must have had data to be one that there is: until now, as of a past window it may be younger.

    :param window: that is read.
    """
    return window.since - LOOKED_FOR, max(window.until, utc_now())


def unknown(hook: PrometheusHook, wanted: Sequence[str], where: str, what: str, window: Window) -> SourceUnavailable:
    """The error of metrics that nobody has: misspelt, of another exporter, or without a single request so far.

    :param hook: of the connection.
    :param wanted: names of the metrics.
    :param where: matchers that they must have.
    :param what: asks for them.
    :param window: when.
    """
    known = hook.values("__name__", [], *looked_for(window))
    there = [name for name in wanted if name in known]
    if there:
        text = f"has {there[0]}, but not with {where}" if where else f"has {there[0]} no longer"
        return SourceUnavailable(
            f"Prometheus (connection {hook.conn_id!r}) {text}: {what} found nothing.",
            next_step="Correct `where`: its labels and their values are those of the scrape configuration.",
        )
    near = [hint for hint in (suggestion(name, known) for name in wanted[:1]) if known and "did you mean" in hint]
    return SourceUnavailable(
        f"Prometheus (connection {hook.conn_id!r}) has no metric {' or '.join(wanted)}, which {what} asks for"
        f"{': ' + near[0] if near else ''} ({len(known)} others are there).",
        next_step="Correct the name, or see whether the service is scraped and has had a request yet.",
    )


def unmatched(hook: PrometheusHook, selectors: Sequence[tuple[str, str]], window: Window) -> Iterator[str]:
    """What is said of metrics that there are, but not with the matchers of a query.

    :param hook: of the connection.
    :param selectors: names of metrics with their matchers.
    :param window: when.
    """
    times = looked_for(window)
    for name, matchers in selectors:
        if not matchers or hook.values("__name__", [promql.selector(name, matchers)], *times):
            continue
        held = {
            label: hook.values(label, [name], *times) for label in promql.labels_in(matchers) if label != "__name__"
        }
        shown = "; ".join(
            f"{label} holds {', '.join(values[:_LISTED])}{', …' if len(values) > _LISTED else ''}"
            if values
            else f"no series of it has the label {label!r}"
            for label, values in held.items()
        )
        yield f"Prometheus has {name}, but has had none with {matchers}: {shown}."


def require_group(hook: PrometheusHook, label: str, names: Sequence[str], where: str, window: Window) -> None:
    """Refuse a label to break down by that no series has.

    :param hook: of the connection.
    :param label: its name.
    :param names: of the metrics that are broken down.
    :param where: matchers that they have.
    :param window: when.
    :raises SourceQueryRejected: none has it.
    """
    match = [promql.selector(name, where) for name in names]
    if not hook.values(label, match, *looked_for(window)):
        raise SourceQueryRejected(
            f"Prometheus (connection {hook.conn_id!r}) has {names[0]}, and no series of it has the label {label!r}.",
            next_step="Correct group_by, or leave it out.",
        )


def untold(
    hook: PrometheusHook, traffic: Traffic, where: str, label: str, silent: Sequence[str], window: Window
) -> SourceQueryRejected:
    """The error of requests of which nothing says whether they failed.

    :param hook: of the connection.
    :param traffic: the requests.
    :param where: further matchers.
    :param label: that holds the instances' names.
    :param silent: names of the instances whose requests they are.
    :param window: when.
    """
    times = looked_for(window)
    selected, labels = _telling(traffic, where, promql.one_of(label, silent[:1]))
    held = {one: values for one in labels if (values := hook.values(one, selected, *times))}
    others = [one for one in hook.labels(selected, *times) if one not in labels and not one.startswith("__")]
    why = "; ".join(f"{one} holds {', '.join(values[:_LISTED])}" for one, values in held.items())
    listed = ", ".join(silent[:_LISTED])
    return SourceQueryRejected(
        f"Prometheus (connection {hook.conn_id!r}) does not say which requests of {listed} failed: "
        f"{why or 'they have no label ' + ' or '.join(labels)} (other labels: {', '.join(others) or 'none'}).",
        next_step='Say it by matchers, errors=\'http_code=~"5.."\'; errors="" where nothing tells: then there is no '
        "error_rate.",
    )


def without_labels(hook: PrometheusHook, traffic: Traffic, where: str, window: Window) -> Iterator[str]:
    """What is said where no request has one of the labels that tell whether it failed.

    :param hook: of the connection.
    :param traffic: the requests.
    :param where: further matchers.
    :param window: when.
    """
    times = looked_for(window)
    selected, labels = _telling(traffic, where)
    if labels and not any(hook.values(one, selected, *times) for one in labels):
        others = ", ".join(one for one in hook.labels(selected, *times) if not one.startswith("__"))
        yield (
            f"No request has had the label {' or '.join(labels)} so far, by which errors tells that it failed (labels "
            f"are {others}): with another name no failure is ever seen."
        )


def _telling(traffic: Traffic, *matchers: str) -> tuple[list[str], list[str]]:
    """Selectors of requests, and the labels that tell whether they failed."""
    names = filter(None, (traffic.requests, traffic.durations))
    labels = dict.fromkeys(one for matcher in traffic.errors for one in promql.labels_in(matcher))
    return [promql.selector(name, *matchers, traffic.where) for name in names], list(labels)


def explained(
    values: Sequence[str],
    label: str,
    metric: str,
    silent: Sequence[str],
    conn_id: str,
    *,
    matched: bool = True,
    ranges: bool = False,
) -> Iterator[str]:
    """What is said of instances without a row.

    :param values: of the label that holds the instances.
    :param label: its name.
    :param metric: name of a metric that has it.
    :param silent: names of those instances.
    :param conn_id: of the connection.
    :param matched: whether there are series as the query asks for them; True by default.
    :param ranges: whether the query asks for ranges of time of its own (``rate(...[1m])``); False by default.
    :raises SourceQueryRejected: nothing has the label.
    """
    listed = ", ".join(silent[:5]) + (f" and {len(silent) - 5} others" if len(silent) > 5 else "")
    if not values:
        raise SourceQueryRejected(
            f"Prometheus (connection {conn_id!r}) has {metric}, and no series of it has the label {label!r}.",
            next_step="Name the label that holds the instances' names as instance_label.",
        )
    unknown = [name for name in silent if not any(promql.instance_of(value, [name]) for value in values)]
    if unknown:
        shown = ", ".join(values[:5]) + (", …" if len(values) > 5 else "")
        yield f"Nothing is known of {', '.join(unknown[:5])}: the label {label} of {metric} holds {shown}."
    if matched and len(unknown) < len(silent):
        more = ", or a range of the query holds fewer than two scrapes" if ranges else ""
        yield f"Of {listed} there is {metric}, and nothing happened in this window{more}."


def mistakes_of_labels(where: str, instance_label: str, group_by: str) -> Iterator[str]:
    """What is wrong with matchers and names of labels.

    :param where: matchers; ``""`` for none.
    :param instance_label: a label's name.
    :param group_by: another one; ``""`` for none.
    """
    if not isinstance(where, str) or not promql.are_matchers(where):
        yield f'where: {where!r} is not a list of matchers, such as job="shop", code!~"4.."'
    if not promql.is_label(instance_label):
        yield f"instance_label: {instance_label!r} is not the name of a label"
    if group_by and not promql.is_label(group_by):
        yield f"group_by: {group_by!r} is not the name of a label"
