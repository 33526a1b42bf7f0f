"""The files of an SQLite ledger: for the user alone under whom Airflow runs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sqlalchemy.engine import URL

_OF_SQLITE = ("", "-wal", "-shm", "-journal", ".lock")


def make_private(url: URL) -> None:
    """Make a place for the ledger that nobody else can read, and close it to others where it was open.

    SQLite gives its other files (``-wal``, ``-shm``) the rights of the database. A directory is closed only where it is
    made here: an existing one, such as ``AIRFLOW_HOME``, has other files in it.

    :param url: of the ledger; nothing is done for a server.
    :raises OSError: the file cannot be made.
    """
    if url.get_backend_name() != "sqlite" or url.database is None:
        return
    path = Path(url.database)
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
    for ending in _OF_SQLITE:
        file = path.with_name(path.name + ending)
        if ending in ("", ".lock"):
            with contextlib.suppress(FileExistsError):
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        # Another user's file stays as it is: whoever may read it was given that right by its owner.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
