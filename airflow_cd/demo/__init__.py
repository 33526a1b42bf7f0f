"""The embedded default: a fleet of real processes, local New Relic and Sumo Logic, and a real Airflow around it."""
