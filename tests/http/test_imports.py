"""What the package drags in: nothing of Airflow, and nothing heavy where DAG files are parsed."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import airflow_cd.http


def _imported_with(*modules: str) -> set[str]:
    code = f"import sys, {', '.join(modules)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_there_is_no_airflow_inside() -> None:
    modules = [f"airflow_cd.http.{module.name}" for module in pkgutil.iter_modules(airflow_cd.http.__path__)]
    assert "airflow_cd.http.client" in modules
    assert "airflow" not in _imported_with(*modules)


def test_redaction_is_light() -> None:
    assert not {"requests", "urllib3", "tenacity"} & _imported_with("airflow_cd.http.redaction", "airflow_cd.commits")
