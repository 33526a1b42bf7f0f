"""How long an Airflow on SQLite waits for a lock; Airflow reads a dictionary by its name.

It has a module of its own because every process of Airflow imports it.
"""

CONNECT_ARGS = {"timeout": 30.0}
"""Seconds, instead of 5: while one process writes, the others wait rather than answer with an error."""
