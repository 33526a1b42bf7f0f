"""Airflow sensors: a person's approval, and the lease of an environment."""

from __future__ import annotations

from airflow_cd.sensors.approval import ApprovalSensor
from airflow_cd.sensors.lease import LeaseSensor

__all__ = ["ApprovalSensor", "LeaseSensor"]
