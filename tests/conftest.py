from __future__ import annotations

import os
import tempfile

# Airflow reads these once, when it is first imported.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-cd-tests-", ignore_cleanup_errors=True)
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{_HOME.name}/airflow.db"
os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "only for the tests on this machine"
