"""What Airflow reads of this package: operators, sensors, hooks, the forms of their connections, options."""

from __future__ import annotations

from typing import Any

_TIMEOUT = {
    "label": "Timeout",
    "description": "Seconds that one request may take.",
    "schema": {"type": ["number", "null"], "default": 30},
}
_DEADLINE = {
    "label": "Deadline",
    "description": "Seconds that one operation may take, with all its requests, retries and waits.",
    "schema": {"type": ["number", "null"], "default": 120},
}
_VERIFY = {
    "label": "CA bundle",
    "description": "Path of the CA bundle that verifies the server; empty for the system's.",
    "schema": {"type": ["string", "null"]},
}

_NEW_RELIC = {
    "connection-type": "new_relic",
    "hook-class-name": "airflow_cd.hooks.new_relic.NewRelicHook",
    "hook-name": "New Relic",
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema", "port"],
        "relabeling": {"host": "Address", "password": "User key"},
        "placeholders": {
            "host": "only if the region does not imply it: https://api.newrelic.com",
            "password": "NRAK-…",
        },
    },
    "conn-fields": {
        "account_id": {
            "label": "Account id",
            "description": "The account to query.",
            "schema": {"type": ["string", "null"], "pattern": "^[0-9]*$"},
        },
        "region": {
            "label": "Region",
            "description": "The region of the account.",
            "schema": {"type": ["string", "null"], "enum": ["US", "EU", "JP", "GOV"], "default": "US"},
        },
        "timeout": _TIMEOUT,
        "deadline": _DEADLINE,
        "verify": _VERIFY,
    },
}

_SUMO_LOGIC = {
    "connection-type": "sumo_logic",
    "hook-class-name": "airflow_cd.hooks.sumo_logic.SumoLogicHook",
    "hook-name": "Sumo Logic",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Address", "login": "Access id", "password": "Access key"},
        "placeholders": {"host": "only if the region does not imply it: https://api.us2.sumologic.com"},
    },
    "conn-fields": {
        "region": {
            "label": "Deployment",
            "description": "The deployment of the account: us1, us2, eu, de, au, ca, ch, jp, kr, in, fed.",
            "schema": {"type": ["string", "null"], "default": "us1"},
        },
        "redirect_hosts": {
            "label": "Redirect hosts",
            "description": "Hosts besides Sumo Logic's own that credentials may follow a redirect to, commas between.",
            "schema": {"type": ["string", "null"]},
        },
        "timeout": _TIMEOUT,
        "deadline": _DEADLINE,
        "verify": _VERIFY,
    },
}

_DEPLOYMENT_API = {
    "connection-type": "deployment_api",
    "hook-class-name": "airflow_cd.hooks.deployment_api.DeploymentApiHook",
    "hook-name": "Deployment API",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {
            "host": "Base URL",
            "login": "User (empty for a bearer token)",
            "password": "Bearer token or password",
        },
        "placeholders": {"host": "https://deploy.example.com"},
    },
    "conn-fields": {
        "timeout": {**_TIMEOUT, "schema": {"type": ["number", "null"], "default": 10}},
        "retry_for": {
            "label": "Retry for",
            "description": "Seconds for which a call is retried while the API is unavailable or busy.",
            "schema": {"type": ["number", "null"], "default": 30},
        },
        "verify": _VERIFY,
    },
}

_HEADERS = 'Further headers as JSON, such as {"X-Requested-By": "airflow"}.'


def _service(
    conn_type: str,
    hook: str,
    name: str,
    placeholder: str,
    *,
    calls: str = "20",
    headers: str = _HEADERS,
    **fields: dict[str, Any],
) -> dict[str, Any]:
    """The form of a :class:`~airflow_cd.hooks.service.ServiceHook`.

    :param conn_type: of the connection.
    :param hook: path of its class.
    :param name: of the service.
    :param placeholder: of its address.
    :param calls: the hook's own ``calls_per_second``, which is not looked up: forms are read where no hook is needed.
    :param headers: the help of that field.
    :param fields: further ones, which stand first.
    """
    return {
        "connection-type": conn_type,
        "hook-class-name": hook,
        "hook-name": name,
        "ui-field-behaviour": {
            "hidden-fields": ["schema"],
            "relabeling": {
                "host": "Address",
                "login": "User (empty for a token, or for neither)",
                "password": "Password or bearer token",
            },
            "placeholders": {"host": placeholder},
        },
        "conn-fields": {
            **fields,
            "headers": {"label": "Headers", "description": headers, "schema": {"type": ["string", "null"]}},
            "calls_per_second": {
                "label": "Calls a second",
                "description": f"The most requests a second, of all verifications of one process; empty for {calls}.",
                "schema": {"type": ["number", "null"]},
            },
            "timeout": _TIMEOUT,
            "deadline": _DEADLINE,
            "verify": _VERIFY,
        },
    }


_PROMETHEUS = _service(
    "prometheus",
    "airflow_cd.hooks.prometheus.PrometheusHook",
    "Prometheus",
    "https://prometheus.example.com",
    headers='Further headers as JSON, {"X-Scope-OrgID": "shop"} of a tenant of Mimir for one.',
)
_VICTORIA_LOGS = _service(
    "victoria_logs",
    "airflow_cd.hooks.victoria_logs.VictoriaLogsHook",
    "VictoriaLogs",
    "http://logs.example.com:9428",
    headers='Further headers as JSON, {"AccountID": "12"} of a tenant for one.',
)
_SEARCH_CLUSTER = _service(
    "search_cluster",
    "airflow_cd.hooks.open_search.OpenSearchHook",
    "OpenSearch or Elasticsearch",
    "https://search.example.com:9200",
)
_LOKI = _service(
    "loki",
    "airflow_cd.hooks.loki.LokiHook",
    "Loki",
    "https://loki.example.com",
    headers='Further headers as JSON, {"X-Scope-OrgID": "shop"} of a tenant for one.',
)
_SPLUNK = _service("splunk", "airflow_cd.hooks.splunk.SplunkHook", "Splunk", "https://splunk.example.com:8089")
_INFLUX_DB = _service(
    "influx_db", "airflow_cd.hooks.influx_db.InfluxDbHook", "InfluxDB", "https://influx.example.com:8086"
)
_DATADOG: dict[str, Any] = {
    **_service(
        "datadog_api",
        "airflow_cd.hooks.datadog.DatadogHook",
        "Datadog API",
        "only if the site does not imply it: https://api.datadoghq.com",
        calls="4",
        site={
            "label": "Site",
            "description": "datadoghq.com, us3.datadoghq.com, us5.datadoghq.com, datadoghq.eu, ap1.datadoghq.com or "
            "ddog-gov.com: the keys are good at one alone.",
            "schema": {"type": ["string", "null"], "default": "datadoghq.com"},
        },
    ),
}
_DATADOG["ui-field-behaviour"] = {
    "hidden-fields": ["schema", "port", "login"],
    "relabeling": {"host": "Address", "password": "API key:application key"},
    "placeholders": {"host": "only if the site does not imply it: https://api.datadoghq.com"},
}

_GOOGLE: dict[str, Any] = {
    **_service(
        "google_observability",
        "airflow_cd.hooks.google_cloud.GoogleCloudHook",
        "Google Cloud Observability",
        "",
        calls="1 of logs and 20 of metrics",
        project={
            "label": "Project",
            "description": "Id of the project whose logs and metrics are read; empty for the project of the key.",
            "schema": {"type": ["string", "null"]},
        },
    ),
}
_GOOGLE["ui-field-behaviour"] = {
    "hidden-fields": ["schema", "port", "login"],
    "relabeling": {"host": "Address", "password": "Service account's key (JSON)"},
    "placeholders": {"host": "only if it is not Google's own", "password": '{"type": "service_account", ...}'},
}

_CONFIG = {
    "airflow_cd": {
        "description": "Airflow CD",
        "options": {
            "sql_alchemy_conn": {
                "description": "Database URL of the ledger; by default a SQLite file under AIRFLOW_HOME, "
                "where the executor is local.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "postgresql+psycopg2://airflow_cd@db.example.com/airflow_cd",
                "default": None,
                "sensitive": True,
            },
            "own_rights": {
                "description": "What is a right of its own, beside editing a pipeline's runs: veto, feedback, "
                "baseline, "
                "rollback, freeze, commas between, or all. The auth manager is asked for edit on the custom view "
                "'Airflow CD veto' and so on; the simple auth manager gives them to its role op.",
                "version_added": "0.2.0",
                "type": "string",
                "example": "veto, rollback",
                "default": "",
            },
            "secret_key": {
                "description": "Key for digests of secrets and for what the ledger seals; by default [core] "
                "fernet_key. The same on every machine. Earlier ones follow behind a comma.",
                "version_added": "0.2.0",
                "type": "string",
                "example": None,
                "default": None,
                "sensitive": True,
            },
            "guard": {
                "description": "Whether the scheduler and the triggerer start a guard beside them, which finishes what "
                "runs cannot finish themselves.",
                "version_added": "0.1.0",
                "type": "boolean",
                "example": None,
                "default": "True",
            },
            "page_command": {
                "description": "Command that pages a person: gets JSON with `text`, `service`, `environment`, "
                "`pipeline` and `run` on its standard input; started without a shell.",
                "version_added": "0.1.0",
                "type": "string",
                "example": "/usr/local/bin/page-on-call",
                "default": "",
            },
        },
    }
}

_CONNECTION_TYPES = (
    _NEW_RELIC,
    _SUMO_LOGIC,
    _DEPLOYMENT_API,
    _PROMETHEUS,
    _VICTORIA_LOGS,
    _SEARCH_CLUSTER,
    _LOKI,
    _INFLUX_DB,
    _DATADOG,
    _SPLUNK,
    _GOOGLE,
)


def get_provider_info() -> dict[str, Any]:
    """The provider's description, in the form of Airflow's ``provider_info.schema.json``."""
    names = [str(connection_type["hook-name"]) for connection_type in _CONNECTION_TYPES]
    return {
        "package-name": "airflow-cd",
        "name": "Airflow CD",
        "description": "Continuous delivery on Apache Airflow: deploys, verifies and rolls back by itself.",
        "integrations": [
            {"integration-name": "New Relic", "external-doc-url": "https://docs.newrelic.com/", "tags": ["service"]},
            {"integration-name": "Sumo Logic", "external-doc-url": "https://help.sumologic.com/", "tags": ["service"]},
            {"integration-name": "Prometheus", "external-doc-url": "https://prometheus.io/docs/", "tags": ["service"]},
            {
                "integration-name": "VictoriaLogs",
                "external-doc-url": "https://docs.victoriametrics.com/victorialogs/",
                "tags": ["service"],
            },
            {
                "integration-name": "OpenSearch or Elasticsearch",
                "external-doc-url": "https://docs.opensearch.org/",
                "tags": ["service"],
            },
            {"integration-name": "Loki", "external-doc-url": "https://grafana.com/docs/loki/", "tags": ["service"]},
            {"integration-name": "Splunk", "external-doc-url": "https://docs.splunk.com/", "tags": ["service"]},
            {
                "integration-name": "Google Cloud Observability",
                "external-doc-url": "https://cloud.google.com/products/observability",
                "tags": ["service"],
            },
            {"integration-name": "InfluxDB", "external-doc-url": "https://docs.influxdata.com/", "tags": ["service"]},
            {"integration-name": "Datadog API", "external-doc-url": "https://docs.datadoghq.com/", "tags": ["service"]},
            {
                "integration-name": "Deployment API",
                "tags": ["protocol"],
            },
            {
                "integration-name": "Airflow CD",
                "tags": ["software"],
            },
        ],
        "operators": [
            {
                "integration-name": "Airflow CD",
                "python-modules": [
                    "airflow_cd.operators.deploy",
                    "airflow_cd.operators.mark",
                    "airflow_cd.operators.promote",
                    "airflow_cd.operators.rollback",
                    "airflow_cd.operators.rollback_to",
                    "airflow_cd.operators.settle",
                    "airflow_cd.operators.verify",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": "Airflow CD",
                "python-modules": ["airflow_cd.sensors.approval", "airflow_cd.sensors.lease"],
            }
        ],
        "hooks": [
            {"integration-name": name, "python-modules": [str(kind["hook-class-name"]).rpartition(".")[0]]}
            for name, kind in zip(names, _CONNECTION_TYPES, strict=True)
        ],
        "extra-links": ["airflow_cd.operators.report_link.VerificationReportLink"],
        "config": _CONFIG,
        "connection-types": [dict(kind) for kind in _CONNECTION_TYPES],
    }
