"""Which commits a release brings: read from a repository, kept in the ledger, shown where a person decides.

No Airflow inside, and nothing here fails a deployment: where commits cannot be read, the reason takes their place.
"""

from airflow_cd.commits.record import NOT_READ, Commit, CommitList, Commits, version_before
from airflow_cd.commits.repository import GitRepository
from airflow_cd.commits.source import CommitSource, commits_to, read_commits

__all__ = [
    "NOT_READ",
    "Commit",
    "CommitList",
    "CommitSource",
    "Commits",
    "GitRepository",
    "commits_to",
    "read_commits",
    "version_before",
]
