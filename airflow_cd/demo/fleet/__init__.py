"""The embedded fleet: environments of real processes behind routers, changed over the HTTP deployment API.

``python -m airflow_cd.demo.fleet --root DIR`` runs it; :func:`start` does so from Python.
"""

from __future__ import annotations

from airflow_cd.demo.fleet.launch import DEFAULT_ENVIRONMENTS, FleetProcess, start

__all__ = ["DEFAULT_ENVIRONMENTS", "FleetProcess", "start"]
