"""A local server that speaks New Relic's protocols (NerdGraph with NRQL, REST v2 markers) over real telemetry."""

from __future__ import annotations

from airflow_cd.demo.new_relic.process import NewRelicServer, start

__all__ = ["NewRelicServer", "start"]
