"""The shortest useful pipeline: one environment, deployed when somebody triggers it."""

from airflow_cd import Environment, Pipeline

dag = Pipeline("minimal", service="shop", stages=[Environment("dev")]).dag()
