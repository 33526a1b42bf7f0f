"""Manual actions in Airflow's UI and API: who may take them, and the record of those that were taken."""
