"""Build.com's pipeline: seven stages, the last one a canary that New Relic and Sumo Logic verify."""

from airflow_cd import Approval, Canary, Environment, GitRepository, Pipeline, Verification
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs

production = Canary(
    Environment("production", instances=10),
    phases=[20, 100],
    mark=["new_relic_default"],
    verify=Verification(
        metrics=[NewRelicMetrics(app="shop", bucket="2s", delay="2s")],
        logs=[SumoLogicLogs(query="_sourceCategory=production/shop", delay="2s")],
        # Forty requests a second say enough in half a minute; ten minutes is the default.
        duration="30s",
        minimum="20s",
        every="3s",
    ),
)

dag = Pipeline(
    "build_com",
    service="shop",
    commits=GitRepository("git_shop"),
    description="Dev and Test, then Edu, Sandbox and Staging, an approval, and Production as a canary.",
    stages=[
        [Environment("dev"), Environment("test")],
        [Environment("edu"), Environment("sandbox"), Environment("staging")],
        Approval(approvers=["admin"]),
        production,
    ],
).dag()
