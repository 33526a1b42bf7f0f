"""How often a service is deployed, how fast, and how often it goes wrong: over time, against the time before."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_cd.delivery.delivery import now
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.insights import EndedDeployment, FailVerdict
from airflow_cd.plugin.access import SIGNED_IN, User, readable
from airflow_cd.plugin.insights import DEFAULT_PERIOD, FEWEST, PERIODS, insight, last_environment, period_of
from airflow_cd.plugin.insights_view import figures_of, services_of
from airflow_cd.plugin.rendering import page

router = APIRouter(prefix="/insights", dependencies=SIGNED_IN)

MOST_SERVICES = 25


@router.get("")
def insights_page(
    request: Request, user: User, service: str = "", environment: str = "", period: str = DEFAULT_PERIOD
) -> HTMLResponse:
    """The figures of one service, or of all whose pipelines the user may read."""
    ledger = open_ledger()
    reached = ledger.reached()
    may = readable({one.pipeline for one in reached}, user)
    reached = [one for one in reached if one.pipeline in may]
    own = [one for one in reached if service in ("", one.service)]
    environments = sorted({one.environment for one in own})
    if environment not in environments:
        environment = last_environment(own) or ""
    chosen = period_of(period, now())
    ended: list[EndedDeployment] = []
    verdicts: list[FailVerdict] = []
    # Only names that the ledger gave are looked up in it: another may be none that it can hold.
    if own:
        one = service or None
        ended = ledger.ended_deployments(environment, since=chosen.before, until=chosen.until, service=one)
        verdicts = ledger.fail_verdicts(environment, since=chosen.before, until=chosen.until, service=one)
    found = insight(
        chosen,
        [row for row in ended if row.pipeline in may],
        [verdict for verdict in verdicts if verdict.pipeline in may],
    )
    return page(
        request,
        "insights.html.j2",
        service=service if own else "",
        unknown="" if own else service,
        environment=environment,
        environments=environments,
        services=sorted({one.service for one in reached}),
        period=chosen,
        periods=PERIODS,
        fewest=FEWEST,
        found=found,
        figures=figures_of(chosen, found),
        by_service=services_of(found.services[:MOST_SERVICES]) if not service else [],
        others=max(0, len(found.services) - MOST_SERVICES),
    )
