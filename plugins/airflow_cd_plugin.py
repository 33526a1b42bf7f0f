"""For those who drop a file into Airflow's plugins folder instead of relying on the package's entry point."""

from airflow_cd.plugin import AirflowCdPlugin as _AirflowCdPlugin

# Airflow finds the class by this module's names; the package's entry point, when installed, is the same class.
AirflowCdPlugin = _AirflowCdPlugin
