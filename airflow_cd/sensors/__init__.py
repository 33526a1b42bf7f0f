"""Airflow sensors: the approval a person gives, and the lease of an environment."""

from __future__ import annotations

from airflow_cd.sensors.approval import ApprovalSensor
from airflow_cd.sensors.lease import LeaseSensor

__all__ = ["ApprovalSensor", "LeaseSensor"]
