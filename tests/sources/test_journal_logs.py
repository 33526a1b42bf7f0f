"""Journals that systemd's own tools write and read."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.errors import SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks import journal
from airflow_cd.sources import JournalLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window
from tests import tiers
from tests.sources import metric_servers

WRITER = "/lib/systemd/systemd-journal-remote"
END = dt.datetime.now(dt.timezone.utc).replace(microsecond=0) - dt.timedelta(hours=1)
WINDOW = Window(END - dt.timedelta(minutes=4), END)
HOSTS = ["web-1", "web-2"]


def entry(second: float, host: str, message: str, number: int, **fields: str) -> bytes:
    at = WINDOW.since + dt.timedelta(seconds=second)
    lines = {
        "__REALTIME_TIMESTAMP": str(round(at.timestamp() * 1e6)),
        "__MONOTONIC_TIMESTAMP": str(1_000_000 + number),
        "_BOOT_ID": "0" * 31 + host[-1],
        "_HOSTNAME": host,
        "MESSAGE": message,
        **fields,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items()).encode() + b"\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    if why := metric_servers.missing("journalctl", WRITER):
        tiers.unavailable("journald", why)
    folder = tmp_path_factory.mktemp("journal")
    shop = {"_SYSTEMD_UNIT": "shop.service", "PRIORITY": "6"}
    for host in HOSTS:
        content = b""
        for number in range(300):
            content += entry(number - 30, host, f"INFO served {number}", 4 * number, **shop)
            if number % 60 == 30:
                content += entry(
                    number - 30, host, "segfault", 4 * number + 1, _PID="1", UNIT="shop.service", PRIORITY="3"
                )
                content += entry(number - 29.5, host, "last words", 4 * number + 2, SYSLOG_IDENTIFIER="shop")
                content += entry(number - 29.5, host, "ERROR other", 4 * number + 3, _SYSTEMD_UNIT="other.service")
        note = {"MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e", "N_DROPPED": "17"}
        content += entry(280, host, "Suppressed 17 messages from shop.service", 2000, **note)
        command = [WRITER, f"--output={folder}/{host}.journal", "-"]
        made = subprocess.run(command, input=content, capture_output=True, check=False)
        assert made.returncode == 0, made.stderr
    return folder


class TestContract(LogSourceContract):
    @pytest.fixture
    def source(self, folder):
        return JournalLogs("shop.service", directory=str(folder))

    @pytest.fixture
    def broken(self, folder):
        return JournalLogs("shpo.service", directory=str(folder))

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_what_is_read(self, source, folder):
        frame = source.read(WINDOW, ["web-1"]).frame
        assert len(frame) == 240 + 4
        assert sum("segfault" in text and "priority" in text for text in frame["message"]) == 4
        assert source.instances(WINDOW) == HOSTS
        named = JournalLogs("shop.service", directory=str(folder), identifier="shop").read(WINDOW, ["web-1"]).frame
        assert sum(named["message"] == "last words") == 4

    def test_what_was_left_out_is_said(self, source):
        later = Window(WINDOW.until, WINDOW.until + dt.timedelta(minutes=2))
        sample = source.read(later, ["web-1"])
        assert sample.truncated
        assert sample.warnings == ("The journal has left out 17 records of shop.service: it logged too fast.",)

    def test_words(self, source, folder, tmp_path):
        with pytest.raises(SourceUnavailable, match=r"no unit shpo\.service; did you mean 'shop\.service'"):
            JournalLogs("shpo.service", directory=str(folder)).read(WINDOW, HOSTS)
        assert "Nothing is known of web-9" in source.read(WINDOW, ["web-9"]).warnings[0]
        with pytest.raises(SourceUnavailable, match="journalctl failed"):
            JournalLogs("shop.service", directory=f"{tmp_path}/nothing").read(WINDOW, HOSTS)


def test_a_file_that_is_broken_makes_the_window_incomplete(folder, tmp_path):
    whole = JournalLogs("shop.service", directory=str(folder)).read(WINDOW, HOSTS)
    assert not whole.truncated
    shutil.copytree(folder, tmp_path / "journal")
    broken = tmp_path / "journal" / "web-1.journal"
    broken.write_bytes(broken.read_bytes()[:3000])
    sample = JournalLogs("shop.service", directory=f"{tmp_path}/journal").read(WINDOW, HOSTS)
    assert set(sample.frame["instance"]) == {"web-2"}
    assert sample.truncated
    [warning] = sample.warnings
    assert warning.startswith(f"A part of the journal cannot be read: Journal file {broken} is truncated")


@pytest.fixture
def closed(folder, tmp_path, monkeypatch) -> Path:
    """Journals of which the user may not read the one of web-2: journalctl leaves it out, and says nothing."""
    name = "web-2.journal"
    (tmp_path / "journal").mkdir()
    shutil.copy(folder / "web-1.journal", tmp_path / "journal")
    (tmp_path / "journal" / name).write_bytes(b"")
    (tmp_path / "journal" / name).chmod(0)
    may = os.access
    # Whoever is root may read it.
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(name) and may(path, mode))
    ran = journal.subprocess.run

    def leaving_out(command: list[str], **given: Any) -> Any:
        shown = [f"--file={tmp_path}/journal/web-1.journal" if "--directory" in one else one for one in command]
        return ran(shown, **given)

    monkeypatch.setattr(journal.subprocess, "run", leaving_out)
    return tmp_path / "journal"


def test_files_that_the_user_may_not_read_are_said(closed):
    sample = JournalLogs("shop.service", directory=str(closed)).read(WINDOW, ["web-1"])
    assert len(sample.frame) == 240 + 4
    [warning] = sample.warnings
    assert warning.startswith(
        f"A part of the journal is hidden: this user may not open {closed}/web-2.journal. See the"
    )


@pytest.mark.parametrize("unit", ["api.service", "shop@{instance}.service"])
def test_nothing_is_no_answer_where_the_user_may_not_read_all(closed, unit):
    source = JournalLogs(unit, directory=str(closed))
    says = f"may not be read: this user may not open {closed}/web-2.journal.*group systemd-journal"
    with pytest.raises(SourceUnauthorized, match=says):
        source.read(WINDOW, HOSTS)


def test_instances_of_a_unit_are_not_none_where_the_user_may_not_read_all(closed):
    with pytest.raises(SourceUnauthorized, match="this user may not open"):
        JournalLogs("shop@{instance}.service", directory=str(closed)).instances(WINDOW)


def test_which_files_are_the_journals(tmp_path, monkeypatch):
    machine = "3b2b2b2b2b2b4b2b8b2b2b2b2b2b2b2b"
    names = [f"{machine}/system.journal", f"{machine}/user-1000@0.journal~", f"{machine}/readme.txt"]
    names += [f"{'4' * 32}/system.journal", f"{machine}.backup/system.journal", "remote/web-1.journal"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path.is_dir() and may(path, mode))
    assert journal.unreadable(str(tmp_path)) == [f"{tmp_path}/{name}" for name in (names[0], names[1], names[3])]
    monkeypatch.setattr(journal, "_OWN", (tmp_path, tmp_path / "nothing"))
    monkeypatch.setattr(journal, "_MACHINE", tmp_path / "machine-id")
    (tmp_path / "machine-id").write_text(f"{machine}\n")
    assert journal.unreadable("") == [f"{tmp_path}/{name}" for name in names[:2]]
    monkeypatch.undo()
    assert journal.unreadable(str(tmp_path)) == []


def test_without_the_command_or_the_right(monkeypatch):
    monkeypatch.setattr(journal.shutil, "which", lambda _: None)
    with pytest.raises(SourceRejected, match="no journalctl"):
        JournalLogs("shop.service").read(WINDOW, HOSTS)
    monkeypatch.setattr(journal.shutil, "which", lambda name: name)
    said = b"No journal files were opened due to insufficient permissions."

    def refused(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess([], 1, b"", said)

    monkeypatch.setattr(journal.subprocess, "run", refused)
    with pytest.raises(SourceUnauthorized, match="group systemd-journal"):
        JournalLogs("shop.service").read(WINDOW, HOSTS)


def test_bytes_and_nulls_are_texts():
    from airflow_cd.sources.journal import _record

    assert _record({"MESSAGE": [104, 105, 255], "PRIORITY": "6"}) == "hi\ufffd"
    assert _record({"MESSAGE": None}) == ""


@pytest.mark.parametrize("fields", [{"unit": ""}, {"unit": "a b.service"}, {"unit": "a.service", "directory": "x"}])
def test_mistakes(fields):
    assert JournalLogs(**fields).mistakes()


ENTRIES = [
    {"_SYSTEMD_UNIT": "shop@a.service", "SYSLOG_IDENTIFIER": "shop", "_PID": "7", "MESSAGE": "of a"},
    {"_SYSTEMD_UNIT": "shop@b.service", "SYSLOG_IDENTIFIER": "shop", "_PID": "8", "MESSAGE": "of b"},
    {"_SYSTEMD_UNIT": "init.scope", "UNIT": "shop@b.service", "_PID": "1", "MESSAGE": "b failed"},
    {"_SYSTEMD_UNIT": "shop-job.service", "SYSLOG_IDENTIFIER": "shop", "_PID": "9", "MESSAGE": "of a job"},
    {"SYSLOG_IDENTIFIER": "shop", "_PID": "8", "MESSAGE": "last words of b"},
    {"SYSLOG_IDENTIFIER": "shop", "_PID": "10", "MESSAGE": "last words of somebody"},
]


def answering(monkeypatch: pytest.MonkeyPatch, entries: list[dict[str, str]]) -> None:
    """Let the journal find, in that order, what matches."""

    def found(directory: str, since: float, until: float, matches: list[str]) -> journal.Entries:
        ways = [one.split() for one in " ".join(matches).split("+")]
        return journal.Entries([one for one in stamped if any(all(_has(one, match) for match in way) for way in ways)])

    def _has(one: dict[str, str], match: str) -> bool:
        name, _, value = match.partition("=")
        return one.get(name) == value

    stamped = [
        {
            "__REALTIME_TIMESTAMP": str(round(WINDOW.since.timestamp() * 1e6) + number),
            "__CURSOR": str(number),
            "_HOSTNAME": "web-1",
            "_BOOT_ID": "f" * 32,
            **one,
        }
        for number, one in enumerate(entries)
    ]
    monkeypatch.setattr(journal, "entries", found)


def test_what_calls_itself_so_is_of_the_instance_whose_unit_or_process_it_is(monkeypatch):
    answering(monkeypatch, ENTRIES)
    sample = JournalLogs("shop@{instance}.service", identifier="shop").read(WINDOW, ["a", "b"])
    read = sample.frame.groupby("instance")["message"].agg(list).to_dict()
    assert read == {"a": ["of a"], "b": ["of b", "b failed", "last words of b"]}
    assert sample.unassigned == 1


def test_what_calls_itself_so_and_has_another_unit_is_not_of_the_unit(monkeypatch):
    answering(monkeypatch, ENTRIES)
    sample = JournalLogs("shop@b.service", identifier="shop").read(WINDOW, ["web-1"])
    words = ["of b", "b failed", "last words of b", "last words of somebody"]
    assert list(sample.frame["message"]) == words
    assert sample.unassigned == 0


@pytest.mark.parametrize(
    ("noted", "left_out"),
    [
        ("Suppressed 17 messages from shop.service", 17),
        ("Suppressed 17 messages from /system.slice/shop.service", 17),
        ("Suppressed 17 messages from pet-shop.service", 0),
        ("Suppressed 17 messages from /system.slice/pet-shop.service", 0),
    ],
)
def test_records_of_another_unit_that_were_left_out_are_no_loss(monkeypatch, noted, left_out):
    note = {"MESSAGE_ID": "a596d6fe7bfa4994828e72309e95d61e", "N_DROPPED": "17", "MESSAGE": noted}
    answering(monkeypatch, [note, {"_SYSTEMD_UNIT": "shop.service", "MESSAGE": "x"}])
    sample = JournalLogs("shop.service").read(WINDOW, ["web-1"])
    assert len(sample.frame) == 1
    assert sample.truncated == bool(left_out)
    assert any("left out 17 records" in warning for warning in sample.warnings) == bool(left_out)
