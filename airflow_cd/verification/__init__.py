"""Verification of a canary from its metrics and logs. Never imports Airflow."""
