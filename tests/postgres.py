"""A PostgreSQL server of the tests' own, where this machine has its binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from airflow_cd.demo.serving import listen

START_SECONDS = 60.0
STOP_SECONDS = 20.0
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # What is written here is worth nothing after the tests.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
}


def missing() -> str:
    """Why no server can be started here; empty when one can."""
    if _binaries() is None:
        return "there are no PostgreSQL server binaries (initdb, postgres) on this machine"
    if os.geteuid() == 0 and _account() is None:
        return "PostgreSQL refuses to run as root, and there is no account `postgres` or `nobody`"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """Start a private server; gives the URL of its database ``postgres``.

    :raises RuntimeError: when it does not come up, with what it wrote to its log.
    """
    binaries = _binaries()
    assert binaries is not None, missing()
    home = Path(tempfile.mkdtemp(prefix="airflow-cd-postgres-"))
    run: dict[str, Any] = {"cwd": home}
    if account := _account():
        os.chown(home, account.pw_uid, account.pw_gid)
        run.update(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    process = None
    try:
        initdb = [binaries / "initdb", "-D", home / "data", "-U", "ledger", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, **run)
        with listen(0) as listener:
            port: int = listener.getsockname()[1]
        options = [part for name, value in {**OPTIONS, "port": port}.items() for part in ("-c", f"{name}={value}")]
        with (home / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", home / "data", *options], stdout=log, stderr=log, **run
            )
        url = f"postgresql+psycopg2://ledger@127.0.0.1:{port}/postgres"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the PostgreSQL server does not answer: {(home / 'log').read_text()}")
            time.sleep(0.02)
        yield url
    finally:
        if process is not None:
            # A "fast shutdown", which does not wait for connections that tests left open.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(home, ignore_errors=True)


def execute(url: str, statement: str) -> None:
    """Run one statement outside a transaction."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


def create_database(server_url: str, name: str) -> str:
    """Make an empty database on the server; gives its URL."""
    execute(server_url, f"CREATE DATABASE {name}")
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _answers(url: str) -> bool:
    try:
        execute(url, "SELECT 1")
    except sa.exc.OperationalError:
        return False
    return True


def _binaries() -> Path | None:
    found = shutil.which("postgres") or shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists() and (place / "initdb").exists()), None)


def _account() -> pwd.struct_passwd | None:
    """Who runs the server; None: the account that runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
