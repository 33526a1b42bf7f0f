"""Manual actions in Airflow's UI and API: who may do what, and the audit log of what was done or refused."""
