"""The guard: finishes, outside every run, what a run cannot finish itself.

A run cannot go on when it has ended or was deleted, its DAG is paused, the file of the DAG is broken or gone, its
worker died, or no scheduler runs. The guard then drains and restores the environment under a new token, releases
the lease and the places in the queue, and tells a person.

``service`` is its loop, ``airflow_runs`` reads Airflow's database, ``stuck`` decides whether a run can go on,
``watching`` remembers signs of life, ``finishing`` acts on one environment, and ``starting`` starts the process beside
Airflow's scheduler and triggerer. Nothing is imported here: a guard that only stands by is a small process.
"""
