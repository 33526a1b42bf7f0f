"""What is wrong with a source as an author specified it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar, cast

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.verification.samples import Metric
from airflow_cd.wording import ended

Method = TypeVar("Method", bound=Callable[..., Any])


def refuse(mistakes: list[str]) -> None:
    """Raise what is wrong with a source's specification.

    :param mistakes: one sentence each; none is fine.
    :raises SourceQueryRejected: there is one.
    """
    if mistakes:
        raise SourceQueryRejected(ended("; ".join(mistakes)), next_step="Correct the source in the pipeline's file.")


def mistakes_of_texts(**texts: object) -> Iterator[str]:
    """What is wrong with fields that must hold a text.

    :param texts: by the name of the field.
    """
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            yield f"{name}: {text!r} is empty or not a text"


def mistakes_of_metric(metric: object, *, named_elsewhere: bool = False) -> Iterator[str]:
    """What is wrong with what an author gave as the metric that a source measures.

    :param metric: should be a :class:`~airflow_cd.verification.samples.Metric`, or a name.
    :param named_elsewhere: whether an empty name stands for one that the source has; False by default.
    """
    if not isinstance(metric, Metric) and not (isinstance(metric, str) and (metric.strip() or named_elsewhere)):
        yield f"metric: {metric!r} is neither a Metric nor a name"


def as_metric(metric: Metric | str) -> Metric:
    """The metric, or what a name says of it.

    :param metric: one, or its name.
    """
    from airflow_cd.verification.metrics.kinds import guessed

    return metric if isinstance(metric, Metric) else guessed(metric)


def mistakes_of_durations(**durations: Any) -> Iterator[str]:
    """What is wrong with durations; a ``bucket`` is a second or longer.

    :param durations: by the name of the field.
    """
    for name, length in durations.items():
        wrong = DurationField.mistake(length, name, least="1s" if name == "bucket" else 0)
        if wrong:
            yield wrong
        elif name == "bucket" and isinstance(length, timedelta) and length % timedelta(seconds=1):
            yield "bucket: it must be a whole number of seconds"


def reads_answers(method: Method) -> Method:
    """Let a method of a source raise nothing but a source's errors, whatever a service answers.

    :param method: that reads what others send.
    """

    @functools.wraps(method)
    def reading(self: Any, *given: Any, **named: Any) -> Any:
        try:
            return method(self, *given, **named)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            raise SourceUnavailable(
                f"{self.name}: the service answered with something that cannot be read: {type(error).__name__}: "
                f"{str(error)[:200]}.",
                next_step="Check whether the connection leads to that service, and which version it is.",
            ) from error

    return cast("Method", reading)
