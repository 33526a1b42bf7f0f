"""Commits of real repositories: the right ones, whatever a version is called, and a sentence instead of any trouble."""

from __future__ import annotations

import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cd import GitRepository
from airflow_cd.commits import Commits
from airflow_cd.demo.airflow_client import wait_until

from .repositories import FIRST, Made, needs_git

pytestmark = needs_git
SEPARATED = "one\x1ftwo <script>alert(1)</script> | `three` \x1b[31m"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    made = Made(tmp_path / "origin")
    made.release("1.0", "first", "second")
    made.release("1.1", "third")
    made.release("1.2", "fourth", "fifth", "sixth")
    return made


def _local(made: Made, **more: object) -> GitRepository:
    return GitRepository(str(made.directory), **more)  # type: ignore[arg-type]


def _remote(made: Made, **more: object) -> GitRepository:
    return GitRepository(f"file://{made.directory}", **more)  # type: ignore[arg-type]


def _subjects(commits: Commits) -> tuple[list[str], list[str]]:
    assert not commits.unknown
    listed = [[commit.subject for commit in each.commits] for each in (commits.brought, commits.taken_away)]
    return listed[0], listed[1]


def test_it_lists_what_is_new_newest_first(made: Made) -> None:
    commits = _local(made, page="https://git.example.com/{id}").between("1.1", "1.2")
    assert _subjects(commits) == (["sixth", "fifth", "fourth"], [])
    newest = commits.brought.commits[0]
    assert newest.id == made.git("rev-parse", "v1.2")
    assert newest.link == f"https://git.example.com/{newest.id}"
    assert newest.at is not None
    assert (newest.author, newest.at.timestamp()) == ("Ada Holm", FIRST + 360)


def test_a_step_back_says_what_is_taken_away(made: Made) -> None:
    commits = _local(made).between("1.2", "1.0")
    assert _subjects(commits) == ([], ["sixth", "fifth", "fourth", "third"])
    assert commits.summary.startswith("A step back")


def test_a_step_to_the_side_lists_both(made: Made) -> None:
    made.git("checkout", "--quiet", "-b", "repair", "v1.1")
    made.release("1.1.1", "repaired")
    assert _subjects(_local(made).between("1.2", "1.1.1")) == (["repaired"], ["sixth", "fifth", "fourth"])


def test_where_nothing_ran_everything_is_new_up_to_the_limit(made: Made) -> None:
    commits = _local(made, limit=2).between(None, "1.2")
    assert _subjects(commits) == (["sixth", "fifth"], [])
    assert (commits.brought.total, commits.brought.more) == (6, 4)


def test_only_commits_that_touch_the_paths_count(made: Made) -> None:
    made.commit("another service", path="other/main.py")
    made.commit("ours, too", path="shop/web.py")
    made.git("tag", "v1.3")
    for repository in (_local(made, paths=["shop", ":(top)other"]), _remote(made, paths=["shop"])):
        assert _subjects(repository.between("1.2", "1.3")) == (["ours, too"], [])


def test_text_of_people_comes_as_they_wrote_it(made: Made) -> None:
    made.git("checkout", "--quiet", "v1.2")
    made.commit(SEPARATED, author="Zoë \x1f |")
    made.git("tag", "v1.3")
    (commit,) = _local(made).between("1.2", "1.3").brought.commits
    assert (commit.subject, commit.author) == (SEPARATED, "Zoë \x1f |")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_it_is_the_difference_of_what_two_versions_have(tmp_path: Path, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 9))
    parents = {
        number: data.draw(st.lists(st.integers(0, number - 1), unique=True, max_size=2)) if number else []
        for number in range(count)
    }
    made = Made(tmp_path / str(time.monotonic_ns()))
    made.graph(parents)
    has: dict[int, set[int]] = {}
    for number, before in parents.items():
        has[number] = {number}.union(*(has[one] for one in before))
    before, after = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, count - 1))
    brought, taken_away = _subjects(_local(made).between(str(before), str(after)))
    assert sorted(map(int, brought)) == sorted(has[after] - has[before])
    assert sorted(map(int, taken_away)) == sorted(has[before] - has[after])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(version=st.text(max_size=12) | st.text("-=.^~@{}:/ *\0\n1v", max_size=12), whole=st.booleans())
def test_no_version_is_an_option_or_an_error(made: Made, version: str, whole: bool) -> None:
    if version.strip() in ("@", "1.0", "1.1", "1.2", "v1.0", "v1.1", "v1.2"):
        return
    repository = _local(made, revision="{version}" if whole else "v{version}")
    commits = repository.between("1.1" if not whole else "v1.1", version)
    assert commits.unknown
    assert str(made.directory) in commits.summary


@pytest.mark.parametrize(
    "version",
    ["--output={}", "-o{}", "--exec-path={}", "v1.0..v1.2", "HEAD~1", ":/first", "v1.0^{{/first}}", "@{{-1}}"],
)
def test_a_version_that_wants_to_be_an_option_writes_nothing(made: Made, tmp_path: Path, version: str) -> None:
    aimed = tmp_path / "aimed"
    for repository in (_local(made, revision="{version}"), _remote(made, revision="{version}")):
        assert repository.between("v1.0", version.format(aimed)).unknown
    assert not aimed.exists()


def test_a_repositorys_own_configuration_runs_nothing(made: Made, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    for name in ("core.pager", "core.fsmonitor", "gpg.program", "core.sshCommand"):
        made.git("config", name, str(script))
    made.git("config", "log.showSignature", "true")
    assert _subjects(_local(made).between("1.1", "1.2"))[0]
    assert not ran.exists()


# -- a copy of a remote one ----------------------------------------------------------------------------------------


def test_a_remote_one_is_copied_without_files_and_asked_again_for_what_is_new(made: Made, tmp_path: Path) -> None:
    made.git("config", "uploadpack.allowFilter", "true")
    repository = _remote(made)
    assert _subjects(repository.between("1.0", "1.1")) == (["third"], [])
    (copy,) = (tmp_path / "airflow" / "airflow_cd" / "repositories").glob("*.git")
    objects = Made.git(made, f"--git-dir={copy}", "cat-file", "--batch-all-objects", "--batch-check")
    assert {line.split()[1] for line in objects.splitlines()} == {"commit"}

    made.release("1.3", "seventh")
    assert _subjects(repository.between("1.2", "1.3")) == (["seventh"], [])
    made.directory.rename(tmp_path / "gone")
    assert _subjects(repository.between("1.2", "1.3")) == (["seventh"], [])
    assert "does not appear to be a git repository" in repository.between("1.3", "1.4").unknown


def test_many_may_want_the_first_copy_at_once(made: Made) -> None:
    with ThreadPoolExecutor(6) as pool:
        read = list(pool.map(lambda _: _remote(made, timeout="60s").between("1.1", "1.2"), range(6)))
    assert {commits.unknown for commits in read} == {""}
    assert {len(commits.brought.commits) for commits in read} == {3}


def test_what_a_killed_fetch_leaves_behind_stops_nobody(made: Made, tmp_path: Path) -> None:
    assert _subjects(_remote(made).between("1.0", "1.1"))[0]
    (copy,) = (tmp_path / "airflow" / "airflow_cd" / "repositories").glob("*.git")
    (copy / "refs" / "tags" / "v1.3.lock").touch()
    (copy / "packed-refs.lock").touch()
    made.release("1.3", "seventh")
    assert _subjects(_remote(made).between("1.2", "1.3")) == (["seventh"], [])


class _Guarded(BaseHTTPRequestHandler):
    """Lets nobody in, and remembers who tried."""

    seen: list[str] = []  # noqa: RUF012 - one server for one test

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization", ""))
        self.send_error(403)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.mark.parametrize("through", ["address", "connection"])
def test_a_password_gets_in_and_out_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_port}/shop.git"
    try:
        if through == "address":
            repository = GitRepository(f"http://ada:geh%20eim@{place}?token=geh%20eim")
        else:
            monkeypatch.setenv(
                "AIRFLOW_CONN_GIT_SHOP",
                f'{{"conn_type": "git", "host": "http://{place}", "login": "ada", "password": "geh eim"}}',
            )
            repository = GitRepository("git_shop")
        commits = repository.between("1.0", "1.1")
    finally:
        server.shutdown()
        server.server_close()
    assert "403" in commits.unknown
    assert "Basic YWRhOmdlaCBlaW0=" in _Guarded.seen
    kept = [path.read_bytes() for path in (tmp_path / "airflow").rglob("*") if path.is_file()]
    shown = [repr(repository), str(commits.as_dict()), *(str(content) for content in kept)]
    if through == "connection":
        shown.append(trace.read_text())
    assert not [text for text in shown if "geh" in text or "YWRhOmdlaCBlaW0" in text]


# -- git itself ----------------------------------------------------------------------------------------------------


def _instead_of_git(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_git_that_hangs_is_ended_with_its_children(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child"
    _instead_of_git(tmp_path / "bin", monkeypatch, f'sleep 300 & echo $! > "{child}"; wait')
    began = time.monotonic()
    commits = _local(made, timeout="1s").between("1.0", "1.1")
    assert time.monotonic() - began < 6
    assert commits.unknown == f"{made.directory}: git timed out."
    line = Path(f"/proc/{child.read_text().strip()}/cmdline")
    # It is gone, or over and only waits to be asked how it ended.
    wait_until(lambda: not line.is_file() or not line.read_bytes(), "the child of git is over", seconds=10, every=0.05)


def test_no_git_says_so(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _local(made).between("1.0", "1.1").unknown == f"{made.directory}: the program git is not installed."


def test_another_repository_in_the_environment_is_not_asked(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert _subjects(_local(made).between("1.0", "1.1")) == (["third"], [])


@pytest.mark.parametrize(
    ("host", "says"),
    [("", "its host is neither"), ("shop.git", "its host is neither"), ("/nowhere", "cannot change to '/nowhere'")],
)
def test_a_connection_that_leads_nowhere_says_so(monkeypatch: pytest.MonkeyPatch, host: str, says: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GIT_SHOP", f'{{"conn_type": "git", "host": "{host}"}}')
    assert says in GitRepository("git_shop").between("1.0", "1.1").unknown


def test_a_connection_that_is_not_there_says_so() -> None:
    assert "connection git_missing: there is no such" in GitRepository("git_missing").between("1.0", "1.1").unknown


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ({"url": ""}, "give a connection id"),
        ({"url": "repositories/shop"}, "is not absolute"),
        ({"revision": "v1"}, "revision 'v1'"),
        ({"revision": "v{version}-{other}"}, "revision"),
        ({"revision": "{version"}, "revision"),
        ({"page": "https://git.example.com/"}, "{id} must be filled in"),
        ({"page": "javascript:alert({id})"}, "not an http or https URL"),
        ({"page": "https://ada:secret@git.example.com/{id}"}, "not an http or https URL"),
        ({"paths": "shop"}, "paths is a list"),
        ({"limit": 0}, "limit 0"),
        ({"timeout": "soon"}, "timeout"),
    ],
)
def test_what_is_written_wrongly_is_found_without_looking(given_: dict[str, object], says: str) -> None:
    (mistake,) = GitRepository(**{"url": "git_shop", **given_}).mistakes()  # type: ignore[arg-type]
    assert says in mistake
    assert "secret" not in mistake
