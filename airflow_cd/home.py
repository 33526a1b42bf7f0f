"""Where this machine keeps what outlives a process."""

from __future__ import annotations

import os
from pathlib import Path


def airflow_home() -> Path:
    """``AIRFLOW_HOME``, as Airflow resolves it, without importing Airflow."""
    return Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser().absolute()
