"""A source that is given to a command as a pipeline file writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_cd.errors import Refused

if TYPE_CHECKING:
    from airflow_cd.verification.samples import LogSource, MetricSource


def written(text: str) -> MetricSource | LogSource:
    """The source that a text makes.

    :param text: such as ``PrometheusMetrics('micrometer')``.
    :raises Refused: it is none.
    """
    from airflow_cd.sources import source_kinds
    from airflow_cd.verification.samples import LogSource, Metric, MetricSource

    kinds = source_kinds()
    if "(" not in text:
        raise Refused(
            f"there is no file {text}, and it is no source.",
            state="nothing was read.",
            next_step=f"Give a pipeline file, or one of {', '.join(sorted(kinds))} with its arguments in parentheses.",
        )
    try:
        made = eval(text, {"__builtins__": {}, "Metric": Metric, **kinds})  # noqa: S307 - as a pipeline file is run
    except Exception as error:
        raise Refused(
            f"{text} cannot be made: {type(error).__name__}: {error}.",
            state="nothing was read.",
            next_step=f"Write it as in a pipeline file; known are {', '.join(sorted(kinds))}.",
        ) from error
    if not isinstance(made, (MetricSource, LogSource)):
        raise Refused(f"{text} is no source: it needs name, delay and read.", state="nothing was read.")
    return made
