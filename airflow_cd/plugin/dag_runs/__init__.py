"""DAG runs as Airflow's own database has them: their tasks, their order, and whether they have ended."""
