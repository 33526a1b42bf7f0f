"""Secrets in run-time configuration: named by reference, resolved in the call to the target, written nowhere.

* :mod:`~airflow_cd.secret_values.references`: what a configuration holds in a secret's place;
* :mod:`~airflow_cd.secret_values.detection`: what looks like a secret and is not referenced;
* :mod:`~airflow_cd.secret_values.sealing`: keyed digests, and values of somebody else's that a rollback needs;
* :mod:`~airflow_cd.secret_values.showing`: a configuration as people may see it;
* :mod:`~airflow_cd.secret_values.resolving`: values, from Airflow's connections, variables and secrets backends.
"""
