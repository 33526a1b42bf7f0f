"""How often a service is deployed, how fast, and how often it goes wrong: over time, against the time before."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_cd.delivery.delivery import now
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.insights import EndedDeployment, FailVerdict
from airflow_cd.plugin.access import SIGNED_IN, User, readable
from airflow_cd.plugin.insights.figures import DEFAULT_PERIOD, FEWEST, PERIODS, insight, period_of, reached_of
from airflow_cd.plugin.insights.view import figures_of, services_of
from airflow_cd.plugin.rendering import page

router = APIRouter(prefix="/insights", dependencies=SIGNED_IN)


@router.get("")
def insights_page(
    request: Request, user: User, service: str = "", environment: str = "", period: str = DEFAULT_PERIOD
) -> HTMLResponse:
    """The figures of one service, or of all whose pipelines the user may read."""
    ledger = open_ledger()
    may = readable(ledger.overview.pipelines(), user)
    reached = reached_of(ledger.insights.reached(), may, service)
    environments = reached.environments
    if environment not in environments:
        environment = reached.last
    chosen = period_of(period, now())
    ended: list[EndedDeployment] = []
    verdicts: list[FailVerdict] = []
    # Only names that the ledger gave are looked up in it: another may be none that it can hold.
    if environments:
        one = service or None
        ended = ledger.insights.ended_deployments(environment, since=chosen.before, until=chosen.until, service=one)
        verdicts = ledger.insights.fail_verdicts(environment, since=chosen.before, until=chosen.until, service=one)
    found = insight(
        chosen,
        (row for row in ended if row.pipeline in may),
        (verdict for verdict in verdicts if verdict.pipeline in may),
    )
    return page(
        request,
        "insights.html.j2",
        service=service if environments else "",
        unknown="" if environments else service,
        environment=environment,
        environments=environments,
        services=sorted(reached.services),
        period=chosen,
        periods=PERIODS,
        fewest=FEWEST,
        found=found,
        figures=figures_of(chosen, found),
        by_service=services_of(found.services) if not service else [],
        others=found.others,
    )
