"""A new side of a Deployment that takes over: what an author writes, and nothing else."""

from airflow_cd import BlueGreen, Environment, Pipeline, Verification
from airflow_cd.sources import KubernetesLogs
from airflow_cd.targets import KubernetesTarget

dag = Pipeline(
    "sides",
    service="sides",
    artifact="localhost/web:{version}",
    stages=[
        BlueGreen(
            Environment("sides", target=KubernetesTarget("kubernetes_real", "sides", deployment="story-sides")),
            verify=Verification(
                logs=[KubernetesLogs("kubernetes_real")],
                duration="8s",
                every="1s",
                minimum="3s",
                longest_lag="5s",
            ),
            bake="5s",
        ),
    ],
).dag()
