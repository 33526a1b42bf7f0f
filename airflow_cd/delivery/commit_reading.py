"""Commits are read beside a deployment: it never waits for them before its own work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from airflow_cd.commits import NOT_READ, read_commits, version_before
from airflow_cd.commits.source import LONGEST
from airflow_cd.errors import AirflowCdError

if TYPE_CHECKING:
    from airflow_cd.commits import CommitSource
    from airflow_cd.ledger import Deployment, Ledger


@contextmanager
def reading_commits(
    ledger: Ledger, deployment: Deployment, source: CommitSource | None, log: Callable[[str], None]
) -> Iterator[None]:
    """Read and record which commits the deployment brings while the body deploys it.

    When the body is done they get a few seconds more; when it fails they get none, since a rollback waits.
    Read once: what is recorded already stays.

    :param ledger: where they are recorded.
    :param deployment: whose release brings them.
    :param source: where commits come from; None reads nothing.
    :param log: called with one line for the task's log.
    """
    if source is None or deployment.commits not in (None, NOT_READ):
        yield
        return

    def read(source: CommitSource = source) -> None:
        before = version_before(deployment.previous.values())
        commits = read_commits(source, before, deployment.release.version)
        try:
            ledger.deployments.record_commits(deployment.id, commits)
        except AirflowCdError as error:
            log(f"The commits were not recorded: {error.what}")
            return
        log(commits.summary)

    reading = Thread(target=read, name="commits", daemon=True)
    reading.start()
    yield
    reading.join(LONGEST)
    if reading.is_alive():
        log(f"The commits are not read after another {LONGEST:.0f} s; going on without them.")
