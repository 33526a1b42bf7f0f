"""What ``docker/docker-compose.yml`` starts, with secrets that were made for this once."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.serving import listen
from airflow_cd.demo.surroundings import running

from .engine import Engine, EngineError
from .images import REPOSITORY, Images

FILE = REPOSITORY / "docker" / "docker-compose.yml"
PROJECT = "airflow-cd-real"
JOBS = {"airflow-migrate", "ledger-migrate"}
UP_SECONDS = 900.0
MOST_RESTARTS = 5
SECRETS = ("ADMIN_PASSWORD", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "API_SECRET_KEY", "FLEET_TOKEN")


class Composed:
    """Brings everything up, and takes it away with its volumes, whatever became of it."""

    def __init__(self, engine: Engine, images: Images) -> None:
        self._engine = engine
        self.secrets = {name: secrets.token_hex(32) for name in SECRETS}
        self.ports = {name: str(_free_port()) for name in ("AIRFLOW_PORT", "FLEET_PORT")}
        self._variables = {
            **images.variables(),
            **self.secrets,
            **self.ports,
            "FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "COMPOSE_PROJECT_NAME": PROJECT,
        }

    def __call__(self, *command: str) -> str:
        """Run docker-compose and return what it printed."""
        return self._engine("docker-compose", "--file", str(FILE), "--profile", "demo", *command, **self._variables)

    def __enter__(self) -> Composed:
        self._down()
        try:
            self("up", "--detach", "--no-build")
            self._wait(time.monotonic() + UP_SECONDS)
        except EngineError as error:
            said = "\n".join(self("logs", "--tail", "30", service) for service in self._waiting())
            self._down()
            raise EngineError(f"{error}\n{said}") from error
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._down()

    def _down(self) -> None:
        self("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def _wait(self, deadline: float) -> None:
        while waiting := self._waiting():
            if time.monotonic() > deadline:
                raise EngineError(f"not healthy after {UP_SECONDS:.0f} s: {', '.join(waiting)}")
            if failing := [name for name, one in self.containers().items() if one["RestartCount"] >= MOST_RESTARTS]:
                raise EngineError(f"started again and again: {', '.join(failing)}")
            time.sleep(1)

    def _waiting(self) -> list[str]:
        return [service for service, container in self.containers().items() if not _as_it_must_be(service, container)]

    def containers(self) -> dict[str, dict[str, Any]]:
        """What the daemon knows of each container, by its service."""
        # Not by docker-compose, which takes half a second of the processor's time to say it.
        ours = f"label=com.docker.compose.project={PROJECT}"
        ids = self._engine("docker", "ps", "--all", "--quiet", "--filter", ours).split()
        found = json.loads(self._engine("docker", "inspect", *ids)) if ids else []
        return {container["Config"]["Labels"]["com.docker.compose.service"]: container for container in found}

    @property
    def url(self) -> str:
        """Of Airflow's API server, from this machine."""
        return f"http://127.0.0.1:{self.ports['AIRFLOW_PORT']}"

    @contextmanager
    def airflow(self) -> Iterator[AirflowClient]:
        """Its administrator, whose connections end with the block."""
        with closing(AirflowClient(self.url, "admin", self.secrets["ADMIN_PASSWORD"])) as client:
            yield client

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        """What the fleet says runs on each instance of an environment."""
        fleet = f"http://127.0.0.1:{self.ports['FLEET_PORT']}"
        return running(fleet, self.secrets["FLEET_TOKEN"], environment)


def _as_it_must_be(service: str, container: dict[str, Any]) -> bool:
    state = container["State"]
    if service in JOBS:
        return state["Status"] == "exited" and state["ExitCode"] == 0
    return state["Status"] == "running" and state["Health"]["Status"] == "healthy"


def _free_port() -> int:
    listener = listen(0)
    port: int = listener.getsockname()[1]
    listener.close()
    return port
