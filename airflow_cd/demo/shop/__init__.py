"""A small shop, the service that the embedded fleet runs: several releases of it, good and bad.

``python -m airflow_cd.demo.shop --artifact shop:1.1 --version 1.1 --instance shop-production-03
--environment production --telemetry DIR`` is one instance.
"""
