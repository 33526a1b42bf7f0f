"""The seven stages on containers: what an author writes, and nothing else."""

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import DockerLogs, OpenSearchLogs, PrometheusMetrics, VictoriaLogs
from airflow_cd.targets import DockerTarget

LOGS = {
    "docker": DockerLogs("docker_production"),
    "docker_victoria_logs": VictoriaLogs(delay="2s"),
    "docker_open_search": OpenSearchLogs("logs-shop", delay="3s"),
}


def environment(name: str) -> Environment:
    return Environment(name, target=DockerTarget(f"docker_{name}", name, settle=1.0, patience=30.0))


for name, logs in LOGS.items():
    Pipeline(
        name,
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
                    logs=[logs],
                    duration="20s",
                    every="1s",
                    minimum="3s",
                    longest_lag="15s",
                ),
            ),
        ],
    ).dag()
