"""What the Deployments page says to whoever has not deployed anything yet."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from airflow_cd.pipeline.specification import pipeline_name

FILE = "shop.py"
PIPELINE = """\
from airflow_cd import Canary, Environment, Pipeline, Verification
from airflow_cd.sources import DockerLogs

dag = Pipeline(
    "shop",
    artifact="registry.example.com/shop:{version}",
    stages=[
        Environment("staging", target="docker_staging"),
        Canary(
            Environment("production", target="docker_production"),
            phases=[20, 100],
            verify=Verification(logs=[DockerLogs("docker_production")], duration="10m"),
        ),
    ],
).dag()
"""


@dataclass(frozen=True)
class Way:
    """A kind of target that comes with the package.

    :param where: what a service runs on, as people say it.
    :param connection: type of its connection in Airflow.
    :param name: what the connection may be called: the first part says the kind.
    """

    where: str
    connection: str
    name: str


WAYS: Sequence[Way] = (
    Way("Docker hosts", "docker", "docker_production"),
    Way("Kubernetes", "kubernetes", "kubernetes_production"),
    Way("functions on AWS Lambda", "aws", "lambda_production"),
    Way("a deployment server with the HTTP API", "deployment_api", "http_production"),
)


def not_run_yet(readable: Callable[[Iterable[str]], Collection[str]]) -> list[str]:
    """The pipelines that Airflow has read and that the reader may see, by name.

    :param readable: those of some pipelines that the reader may see.
    """
    from airflow.models.dag import DagModel, DagTag
    from airflow.utils.session import create_session

    query = select(DagTag.dag_id).join(DagModel, DagModel.dag_id == DagTag.dag_id)
    with create_session() as session:
        found = set(session.scalars(query.where(DagTag.name == "airflow-cd", DagModel.is_stale.is_(False))))
    pipelines = {name for name in found if pipeline_name(name) == name}
    return sorted(readable(pipelines)) if pipelines else []
