"""A PostgreSQL server of the tests' own, where this machine has its binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
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


class Server:
    """A PostgreSQL server of its own, which may be killed and started again; a context manager that stops it.

    :param options: settings on top of :data:`OPTIONS`.
    """

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        binaries = _binaries()
        assert binaries is not None, missing()
        self._binaries = binaries
        self._home = Path(tempfile.mkdtemp(prefix="airflow-cd-postgres-"))
        self._run: dict[str, Any] = {"cwd": self._home}
        if account := _account():
            os.chown(self._home, account.pw_uid, account.pw_gid)
            self._run.update(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
        self._options = {**OPTIONS, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        try:
            initdb = [self._binaries / "initdb", "-D", self._home / "data", "-U", "ledger", "--auth=trust"]
            subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], check=True, capture_output=True, **self._run)
            with listen(0) as listener:
                self._options["port"] = str(listener.getsockname()[1])
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of its database ``postgres``."""
        return f"postgresql+psycopg2://ledger@127.0.0.1:{self._options['port']}/postgres"

    def start(self) -> None:
        """Start it, again after it was killed, and return when it answers.

        :raises RuntimeError: it does not come up; with what it wrote to its log.
        """
        options = [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_SECONDS
        self._begin(options)
        while not _answers(self.url):
            ended = self._process is None or self._process.poll() is not None
            if time.monotonic() > deadline or (ended and not self._killed):
                raise RuntimeError(f"the PostgreSQL server does not answer: {(self._home / 'log').read_text()}")
            if ended:
                # The memory that the killed one shared is in use until the last of its processes is gone.
                self._begin(options)
            time.sleep(0.02)
        self._killed = False

    _killed = False

    def _begin(self, options: list[str]) -> None:
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._home / "data", *options], stdout=log, stderr=log, **self._run
            )

    def kill(self) -> None:
        """End it and what it started by kill -9."""
        assert self._process is not None
        # Its own process first, which would start the others again.
        found = self.processes()
        self._process.kill()
        for process in found:
            with suppress(psutil.Error):
                process.kill()
        self._process.wait()
        self._killed = True

    def processes(self) -> list[psutil.Process]:
        """What it started: a process for each connection, and its own."""
        assert self._process is not None
        return psutil.Process(self._process.pid).children()

    def stop(self) -> None:
        """End it, and remove its files."""
        if self._process is not None:
            # A "fast shutdown", which does not wait for connections that tests left open.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)


@contextmanager
def server() -> Iterator[str]:
    """Start a private server; gives the URL of its database ``postgres``.

    :raises RuntimeError: when it does not come up, with what it wrote to its log.
    """
    with Server() as found:
        yield found.url


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
