"""Airflow hooks: New Relic, Sumo Logic and the HTTP deployment API."""
