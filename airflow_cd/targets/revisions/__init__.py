"""Platforms on which a release is a revision, and its share of the traffic a weight that is set and read back."""

from airflow_cd.targets.revisions.revision import Revision, Serving
from airflow_cd.targets.revisions.target import RevisionTarget

__all__ = ["Revision", "RevisionTarget", "Serving"]
