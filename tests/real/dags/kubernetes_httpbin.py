"""The seven stages on Kubernetes with httpbin: by shares of replicas, an HTTPRoute, and a new side."""

from airflow_cd import Approval, BlueGreen, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import KubernetesLogs
from airflow_cd.targets import KubernetesTarget

VERIFICATION = Verification(
    logs=[KubernetesLogs("kubernetes_real")], duration="20s", every="1s", minimum="3s", longest_lag="5s"
)


def environment(service: str, name: str, route: str = "") -> Environment:
    target = KubernetesTarget("kubernetes_real", name, deployment=f"{service}-{name}", route=route)
    return Environment(name, target=target)


for service, last in (
    ("replicas", Canary(environment("replicas", "production"), phases=[20, 100], verify=VERIFICATION)),
    ("route", Canary(environment("route", "production", "route-production"), phases=[20, 100], verify=VERIFICATION)),
    ("sides", BlueGreen(environment("sides", "production"), verify=VERIFICATION, bake="5s")),
):
    Pipeline(
        service,
        artifact="httpbin:{version}",
        configuration={"GUNICORN_CMD_ARGS": "--timeout 30 --access-logfile -"},
        stages=[
            [environment(service, "dev"), environment(service, "test")],
            [environment(service, name) for name in ("edu", "sandbox", "staging")],
            Approval(approvers=["admin"], timeout="10m"),
            last,
        ],
    ).dag()
