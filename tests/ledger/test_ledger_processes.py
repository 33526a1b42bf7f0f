"""What only shows between processes: racing, dying by kill -9, forking."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.errors import LeaseHeld, LeaseLost
from airflow_cd.ledger import Lease, Ledger, open_ledger
from tests.ledger.ledger_runs import Run, eventually, shop

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Run Python code in a process of its own; what still lives at the end of the test is killed."""
    children: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child

    yield begin
    for child in children:
        if child.poll() is None:
            child.kill()
        child.communicate()


def finish(child: subprocess.Popen[str]) -> str:
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return out


def kill_when_it_says(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdout is not None
    line = child.stdout.readline().strip()
    assert line == word, child.communicate()[1]
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(timeout=30) == -signal.SIGKILL


TAKE_TURNS = """
import os, sys, threading
from datetime import timedelta
from airflow_cd.errors import LeaseHeld
from airflow_cd.ledger import open_ledger

url, name, folder = sys.argv[1:]
pause = threading.Event()
for turn in range(4):
    ledger = open_ledger(url)
    while True:
        try:
            lease = ledger.leases.acquire("shop", "production", pipeline="p", run_id=f"{name}-{turn}",
                                         ttl=timedelta(seconds=60))
            break
        except LeaseHeld:
            pause.wait(0.01)
    # Fails if another process is in here.
    inside = os.open(f"{folder}/inside", os.O_CREAT | os.O_EXCL)
    with open(f"{folder}/tokens", "a") as tokens:
        tokens.write(f"{lease.token}\\n")
    os.close(inside)
    os.unlink(f"{folder}/inside")
    ledger.leases.release(lease)
"""


def test_processes_take_turns_and_tokens_grow(url: str, start: Start, tmp_path: Path) -> None:
    children = [start(TAKE_TURNS, url, f"process-{number}", str(tmp_path)) for number in range(3)]
    for child in children:
        finish(child)
    tokens = [int(line) for line in (tmp_path / "tokens").read_text().split()]
    assert len(tokens) == 12
    assert tokens == list(range(tokens[0], tokens[0] + 12))


OPEN = """
import sys
from airflow_cd.ledger import open_ledger
sys.stdin.readline()
print(open_ledger(sys.argv[1]).revision())
"""


def test_processes_that_open_an_empty_ledger_at_the_same_moment_all_succeed(start: Start, tmp_path: Path) -> None:
    children = [start(OPEN, f"sqlite:///{tmp_path / 'new' / 'ledger.db'}") for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert len({finish(child) for child in children}) == 1


KEEP = """
import sys
from datetime import timedelta
from airflow_cd.ledger import open_ledger
open_ledger(sys.argv[1]).leases.acquire("shop", "production", pipeline="p", run_id="dies", ttl=timedelta(seconds=2))
print("mine", flush=True)
sys.stdin.read()
"""


def test_the_lease_of_a_killed_process_goes_to_who_waits(url: str, start: Start, real_ledger: Ledger) -> None:
    kill_when_it_says(start(KEEP, url), "mine")
    dead = real_ledger.leases.current("shop", "production")
    assert dead is not None

    def ask() -> Lease | None:
        try:
            return real_ledger.leases.acquire(
                "shop", "production", pipeline="p", run_id="lives", ttl=timedelta(seconds=30)
            )
        except LeaseHeld:
            return None

    lease = eventually(ask)
    assert lease.token > dead.token
    assert lease.acquired_at >= dead.expires_at
    with pytest.raises(LeaseLost):
        real_ledger.leases.renew(dead, timedelta(seconds=30))


HALF = """
import sys
from airflow_cd.ledger import open_ledger
ledger = open_ledger(sys.argv[1])
with ledger.store.writing() as session:
    row = ledger.store.fenced(session, sys.argv[2], int(sys.argv[3]))
    row.state, row.outcome = "promoted", "never committed"
    session.flush()
    print("half", flush=True)
    sys.stdin.read()
"""


def test_a_process_killed_while_it_writes_leaves_no_trace_and_no_lock(
    url: str, start: Start, real_ledger: Ledger
) -> None:
    it = Run(real_ledger)
    deployment = it.open(shop("1.0.0"))
    kill_when_it_says(start(HALF, url, deployment.id, str(it.token)), "half")
    assert real_ledger.deployments.get(deployment.id) == deployment
    assert (
        real_ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="it died").state == "rolling_back"
    )


MIGRATE_HALF = """
import sys
from alembic import command
from airflow_cd.ledger import open_ledger
upgrade = command.upgrade
def halfway(config, revision):
    upgrade(config, revision)
    print("half", flush=True)
    sys.stdin.read()
command.upgrade = halfway
open_ledger(sys.argv[1], check=False).migrate()
"""


def test_a_process_killed_while_it_migrates_leaves_nothing_half(empty_url: str, start: Start) -> None:
    kill_when_it_says(start(MIGRATE_HALF, empty_url), "half")
    ledger = open_ledger(empty_url, check=False)
    assert ledger.revision() is None
    ledger.migrate()
    assert open_ledger(empty_url).deployments.matching() == []


FORK = """
import os, sys
from datetime import timedelta
from airflow_cd.ledger import open_ledger
url = sys.argv[1]
ledger = open_ledger(url)
def use(name):
    for turn in range(10):
        ledger.leases.acquire(name, "production", pipeline="p", run_id="r", ttl=timedelta(seconds=60))
        assert ledger.leases.current(name, "production").run_id == "r"
        assert open_ledger(url) is ledger
use("before")
children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        try:
            use(f"child-{number}")
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    children.append(pid)
use("parent")
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
"""


def test_a_ledger_survives_a_fork(url: str, start: Start) -> None:
    finish(start(FORK, url))


FREEZE = """
import sys
from airflow_cd.ledger import open_ledger
from airflow_cd.ledger.store import busy_for
ledger = open_ledger(sys.argv[1])
with busy_for(1), ledger.store.writing() as session:
    ledger.store.lock(session, "shop", "production")
    print("frozen", flush=True)
    sys.stdin.read()
"""


@pytest.mark.postgres
def test_a_process_frozen_while_it_writes_does_not_keep_others_out(postgres_url: str, start: Start) -> None:
    frozen = start(FREEZE, postgres_url)
    assert frozen.stdout is not None
    assert frozen.stdout.readline().strip() == "frozen"
    lease = open_ledger(postgres_url).leases.acquire(
        "shop", "production", pipeline="p", run_id="r", ttl=timedelta(seconds=9)
    )
    assert lease.run_id == "r"
    assert frozen.poll() is None
