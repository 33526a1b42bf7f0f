"""The same attacks under the FAB auth manager, in a process of its own: a process has one auth manager."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ROOT = Path(__file__).parents[2]


def _installed() -> bool:
    try:
        return importlib.util.find_spec("airflow.providers.fab") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not _installed(), reason="the FAB provider is not installed: pip install 'airflow-cd[fab]'")
@pytest.mark.timeout(900, func_only=True)
def test_no_changing_route_gets_a_run_past_its_approver_with_fab() -> None:
    environment = os.environ | {"AIRFLOW__CORE__AUTH_MANAGER": MANAGER, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        "tests/attacks/test_changing_routes.py",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=840)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
