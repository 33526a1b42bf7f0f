"""A local server that speaks Sumo Logic's Search Job API over real logs."""

from __future__ import annotations

from airflow_cd.demo.sumo_logic.process import SumoLogicServer, start

__all__ = ["SumoLogicServer", "start"]
