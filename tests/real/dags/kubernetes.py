"""The seven stages on Kubernetes: what an author writes, and nothing else."""

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import KubernetesLogs
from airflow_cd.targets import KubernetesTarget


def environment(name: str) -> Environment:
    return Environment(name, target=KubernetesTarget("kubernetes_real", name, deployment=f"story-{name}"))


dag = Pipeline(
    "kubernetes",
    service="web",
    artifact="localhost/web:{version}",
    stages=[
        [environment("dev"), environment("test")],
        [environment("edu"), environment("sandbox"), environment("staging")],
        Approval(approvers=["admin"], timeout="10m"),
        Canary(
            environment("production"),
            phases=[20, 100],
            verify=Verification(
                logs=[KubernetesLogs("kubernetes_real")],
                duration="15s",
                every="1s",
                minimum="3s",
                longest_lag="5s",
            ),
        ),
    ],
).dag()
