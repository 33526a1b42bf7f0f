"""The pages, a module for each: its ``router`` is included by :mod:`airflow_cd.plugin.app`."""
