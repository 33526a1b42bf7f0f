"""An ``airflow standalone`` of its own: started on a free port, found ready, and ended with every process of it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx
import psutil

from airflow_cd.demo.airflow_processes import end_processes, processes_of, start_guard
from airflow_cd.demo.serving import listen
from airflow_cd.errors import AirflowCdError

START_SECONDS = 600.0
USER = "admin"
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
DATABASE_ARGUMENTS = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS"


def healthy(url: str) -> bool:
    """Whether an Airflow's API answers and its scheduler lives.

    :param url: of the API server, without ``/api/v2``.
    """
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=5)
    except httpx.HTTPError:
        return False
    if answer.status_code != 200:
        return False
    health = answer.json()
    return all((health.get(part) or {}).get("status") == "healthy" for part in ("metadatabase", "scheduler"))


class AirflowServer:
    """Airflow with its API server, scheduler, DAG processor and triggerer, in a home directory of its own.

    A subclass may start its parts in another way, by another ``command`` of Python's.

    :param home: AIRFLOW_HOME; made when missing.
    :param dags: folder of DAG files.
    :param port: of the UI and API; 0 takes a free one.
    :param environment: further environment variables (connections, options).
    :param users: names and roles of the simple auth manager; all get the same password.
    """

    command: Sequence[str] = ("-m", "airflow", "standalone")

    def __init__(
        self,
        home: Path,
        *,
        dags: Path,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self.dags = dags
        self.user = USER
        self.password = secrets.token_urlsafe(9)
        self._users = dict(users or {USER: "admin"})
        listener = listen(port)
        self.port: int = listener.getsockname()[1]
        listener.close()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, **self._settings(), **(environment or {})}
        if self.environment.get(DATABASE, "sqlite").startswith("sqlite"):
            # Airflow's own processes lock each other out on SQLite.
            arguments = "airflow_cd.demo.sqlite.CONNECT_ARGS"
            self.environment.update({f"{DATABASE_ARGUMENTS}{kind}": arguments for kind in ("", "_ASYNC")})
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def _settings(self) -> dict[str, str]:
        log_ports = []
        for _ in range(2):
            listener = listen(0)
            log_ports.append(str(listener.getsockname()[1]))
            listener.close()
        return {
            "AIRFLOW_HOME": str(self.home),
            # Airflow starts its parts by the name of its command.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{n}:{role}" for n, role in self._users.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": log_ports[0],
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": log_ports[1],
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            # The lever on time between tasks; the shipped second is made for thousands of DAGs.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
            # A worker that died is found after this, and its task tried again, instead of after five minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            # A failing task waits this long before it reports its failure.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "15",
            # A machine that does other work as well is slow; its DAGs are there all the same.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "240",
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        }

    @property
    def log(self) -> Path:
        """Everything Airflow's components write to their output."""
        return self.home / "standalone.log"

    def start(self) -> None:
        """Start, and return when the API answers and the scheduler is healthy.

        :raises AirflowCdError: it does not start; with the end of its output.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps(dict.fromkeys(self._users, self.password)))
        passwords.chmod(0o600)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - ours
                [sys.executable, *self.command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = start_guard(self._process.pid, str(self.home))
        deadline = time.monotonic() + START_SECONDS
        while not healthy(self.url):
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                how = "ended while starting" if ended else f"was not healthy after {START_SECONDS:.0f} s"
                output_end = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                self.stop()
                raise AirflowCdError(
                    f"airflow standalone {how}. Its last output:\n{output_end}\n", state="It is not running."
                )
            time.sleep(0.5)

    def is_running(self) -> bool:
        """Whether Airflow's first process is running."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to it, whatever its parent is by now, except this process."""
        return processes_of(self._session, str(self.home))

    def stop(self) -> None:
        """End every process of it: those that ``airflow standalone`` leaves behind when it ends, too."""
        end_processes(self._session, str(self.home))
        if self._process is not None:
            self._process.wait()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()

    @property
    def _session(self) -> int | None:
        return None if self._process is None else self._process.pid

    def __enter__(self) -> AirflowServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
