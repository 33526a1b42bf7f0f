"""HAProxy as a router, changed and read through its runtime socket: no reload, no file."""

from airflow_cd.targets.haproxy.router import HaproxyRouter
from airflow_cd.targets.haproxy.settings import HaproxySettings

__all__ = ["HaproxyRouter", "HaproxySettings"]
