"""What a judgement says of the queries it rests on."""

from __future__ import annotations

from airflow_cd.verification.conclusions import with_queries
from airflow_cd.verification.verdict import Performance, Reason, Verdict

SILENT = Performance(Verdict.INCONCLUSIVE, [Reason("no_data", "There are no metrics.")], [])


def test_the_query_of_what_was_silent_is_there_to_be_run() -> None:
    said = with_queries(SILENT, {"Prometheus": "up", "Loki": "no query: no instance, or no time"})
    assert (
        said.reasons[0].text == "There are no metrics. The query was Prometheus: up. Next: run it in the source itself."
    )
    assert set(said.queries) == {"Prometheus", "Loki"}


def test_nobody_is_told_to_run_a_query_that_was_not_sent() -> None:
    said = with_queries(SILENT, {"Loki": "no query: no instance, or no time"})
    assert said.reasons == SILENT.reasons
