"""The seven stages on containers: what an author writes, and nothing else."""

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import DockerLogs, PrometheusMetrics
from airflow_cd.targets import DockerTarget


def environment(name: str) -> Environment:
    return Environment(name, target=DockerTarget(f"docker_{name}", name, settle=1.0, patience=30.0))


dag = Pipeline(
    "docker",
    service="httpbin",
    artifact="httpbin:{version}",
    configuration={"GUNICORN_CMD_ARGS": "--timeout 30 --access-logfile -"},
    stages=[
        [environment("dev"), environment("test")],
        [environment("edu"), environment("sandbox"), environment("staging")],
        Approval(approvers=["admin"], timeout="10m"),
        Canary(
            environment("production"),
            phases=[20, 100],
            verify=Verification(
                metrics=[PrometheusMetrics("haproxy", bucket="2s", delay="2s")],
                logs=[DockerLogs("docker_production")],
                duration="20s",
                every="1s",
                minimum="3s",
                longest_lag="15s",
            ),
        ),
    ],
).dag()
