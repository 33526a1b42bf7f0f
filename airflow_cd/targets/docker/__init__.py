"""Containers on a Docker Engine as the instances of an environment; needs ``airflow-cd[docker]`` when it is used."""

from airflow_cd.targets.docker.target import DockerTarget

__all__ = ["DockerTarget"]
