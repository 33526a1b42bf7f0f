"""The templates of our pages: what came from logs or people is text in them, never markup."""

from __future__ import annotations

import functools
from pathlib import Path

import jinja2

from airflow_cd.report import words

_FILTERS = (
    words.number,
    words.change,
    words.duration,
    words.clock_time,
    words.full_time,
    words.one_line,
    words.quoted,
    words.seconds_between,
    words.size,
    words.as_text,
)


@functools.cache
def templates() -> jinja2.Environment:
    """The templates of the report and of the backtest."""
    return template_environment()


def template_environment(*folders: Path) -> jinja2.Environment:
    """These folders and ``templates``, with :mod:`~airflow_cd.report.words` as filters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, Path(__file__).with_name("templates")]),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        undefined=jinja2.StrictUndefined,
        finalize=words.visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for word in _FILTERS:
        environment.filters[word.__name__] = word
    return environment
