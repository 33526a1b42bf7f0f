"""NRQL as a syntax tree, before anything is computed.

The grammar is the part of New Relic's reference that monitoring a service needs; whatever is left out is refused as
a syntax error rather than ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


class NrqlError(Exception):
    """The query cannot be understood, or asks for what cannot be computed."""


@dataclass(frozen=True)
class Attribute:
    """An attribute of an event."""

    name: str


@dataclass(frozen=True)
class Literal:
    """A number, string, boolean or NULL."""

    value: float | int | str | bool | None


@dataclass(frozen=True)
class Arithmetic:
    """``left operator right``; the operator is one of ``+ - * /``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Call:
    """A function: positional arguments, named ones (``t: 0.5``) and a ``WHERE`` argument.

    :param star: it was called with ``*``.
    :param span: a duration argument (``1 minute``), seconds.
    """

    function: str
    arguments: tuple[Expression, ...] = ()
    named: tuple[tuple[str, Expression], ...] = ()
    where: Condition | None = None
    star: bool = False
    span: float | None = None


@dataclass(frozen=True)
class Comparison:
    """``left operator right`` of ``= != < <= > >=``."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Membership:
    """``value [NOT] IN (…)``."""

    value: Expression
    choices: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True)
class Match:
    """``value [NOT] LIKE 'pattern'`` (``%`` stands for anything) or ``[NOT] RLIKE r'expression'``."""

    value: Expression
    pattern: str
    regular: bool
    negated: bool


@dataclass(frozen=True)
class Is:
    """``value IS [NOT] NULL | TRUE | FALSE``."""

    value: Expression
    expected: bool | None
    negated: bool


@dataclass(frozen=True)
class Truth:
    """A bare attribute standing as a condition."""

    value: Expression


@dataclass(frozen=True)
class Not:
    """``NOT condition``."""

    condition: Condition


@dataclass(frozen=True)
class All:
    """``a AND b AND …``; nothing at all is true."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AnyOf:
    """``a OR b OR …``."""

    conditions: tuple[Condition, ...]


Expression: TypeAlias = "Attribute | Literal | Arithmetic | Call"
Condition: TypeAlias = "Comparison | Membership | Match | Is | Truth | Not | All | AnyOf"


@dataclass(frozen=True)
class Selected:
    """One thing in the SELECT clause."""

    expression: Expression
    alias: str | None = None


@dataclass(frozen=True)
class Moment:
    """An end of the time window as written: a literal (epoch number or text) or seconds before now.

    :param written: as New Relic repeats it in the metadata (``60 MINUTES AGO``).
    """

    written: str
    seconds_ago: float | None = None
    literal: float | str | None = None


@dataclass(frozen=True)
class Order:
    """``ORDER BY expression [ASC | DESC]``."""

    expression: Expression
    descending: bool


@dataclass(frozen=True)
class Query:
    """A whole query.

    :param events: the event types of FROM.
    :param star: ``SELECT *``.
    :param limit: rows or facets; None for New Relic's default, -1 for MAX.
    :param timeseries: seconds of a bucket, ``"AUTO"`` or ``"MAX"``; None without TIMESERIES.
    """

    events: tuple[str, ...]
    selected: tuple[Selected, ...]
    star: bool = False
    where: Condition = All(())
    facets: tuple[Selected, ...] = ()
    limit: int | None = None
    since: Moment = Moment("60 MINUTES AGO", seconds_ago=3600.0)
    until: Moment = Moment("NOW", seconds_ago=0.0)
    timeseries: float | str | None = None
    order: Order | None = None
    timezone: str = "UTC"
