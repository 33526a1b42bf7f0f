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
@pytest.mark.timeout(3600, func_only=True)
@pytest.mark.parametrize("attack", ["test_changing_routes.py", "rights_with_fab.py"])
def test_nobody_gets_further_with_fab(attack: str) -> None:
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
        f"tests/attacks/{attack}",
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=3500)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
