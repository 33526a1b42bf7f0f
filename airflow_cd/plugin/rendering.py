"""Pages of ours inside Airflow's UI: one frame, one style, text that is never markup."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_cd.operators.question import TIMED_OUT
from airflow_cd.pipeline.specification import pipeline_name
from airflow_cd.plugin.same_ledger import ledger_shown
from airflow_cd.plugin.words import approvers_label, default_label, deployment_label
from airflow_cd.release import UNSET
from airflow_cd.report.jinja import template_environment
from airflow_cd.report.manual_actions import manual_action_label
from airflow_cd.task_ids import verify_task

FOLDER = Path(__file__).parent
LONGEST_REASON = 4_000  # characters that a person's reason may have
HEADERS = {
    # Everything on a page comes from here; whatever a log line smuggles in may load and run nothing.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

SUBMITTED = "airflow_cd_submitted"
"""The cookie that tells our script which form was accepted: until then it keeps what was written."""


@functools.cache
def templates() -> jinja2.Environment:
    """The plugin's templates, those of every page's own package, and those of the report."""
    rooms = sorted({template.parent for template in FOLDER.glob("*/*.j2")} - {FOLDER / "templates"})
    environment = template_environment(FOLDER / "templates", *rooms)
    environment.filters["segment"] = functools.partial(quote, safe="")
    environment.filters["pipeline"] = pipeline_name
    environment.filters["approvers"] = approvers_label
    environment.filters["unanswered"] = default_label
    environment.globals.update(
        longest_reason=LONGEST_REASON,
        verify_task=verify_task,
        deployment_label=deployment_label,
        manual_action_label=manual_action_label,
        unset=UNSET,
        timed_out=TIMED_OUT,
        ledger_shown=ledger_shown,
    )
    return environment


def page(
    request: Request, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **content: Any
) -> HTMLResponse:
    """Render a template that extends ``page.html.j2``.

    :param request: the request that the page answers.
    :param template: name of its file; every page's package is searched.
    :param status: HTTP status of the answer.
    :param headers: of the answer, beside those of every page.
    :param content: what the template shows.

    ``base`` (where our pages are, without a slash at the end) and ``airflow`` (the same for Airflow's own) are there
    for links. A link to Airflow's UI needs ``data-airflow``: our pages stand in a frame there.
    """
    base = request.scope.get("root_path", "").rstrip("/")
    airflow = base.removesuffix("/airflow-cd")
    rendered = templates().get_template(template).render(base=base, airflow=airflow, request=request, **content)
    return HTMLResponse(rendered, status_code=status, headers={**HEADERS, **(headers or {})})


def accepted(request: Request, address: str) -> RedirectResponse:
    """Lead from a form that did what it asked for to the page that shows it.

    :param request: the request that sent the form.
    :param address: where the page is.
    """
    answer = RedirectResponse(address, status_code=303)
    answer.set_cookie(SUBMITTED, quote(request.scope["path"], safe=""), max_age=60, path="/", samesite="lax")
    return answer
