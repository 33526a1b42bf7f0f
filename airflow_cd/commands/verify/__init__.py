"""``airflow-cd verify``: judges plain files, without Airflow and without any deployment.

``command`` has the options, ``summary`` what is printed about the verdict, ``progress`` what a terminal shows
meanwhile.
"""

from airflow_cd.commands.verify.command import add_parser, run

__all__ = ["add_parser", "run"]
