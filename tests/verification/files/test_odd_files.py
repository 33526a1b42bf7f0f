"""What is no file: a pipe, a device, a link in a circle."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files import opening
from airflow_cd.verification.files.opening import opened


def read(path: str) -> bytes:
    with opened(path) as stream:
        return stream.read()


def test_a_pipe_that_nobody_writes_into_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONGEST_PIPE", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(VerificationError, match=r"pipe is a pipe into which nobody has written anything for 0\.1 s"):
        read(str(pipe))


def test_a_pipe_is_read_to_its_end_however_slowly_it_is_written(tmp_path: Path) -> None:
    pipe, later = tmp_path / "pipe", threading.Event()
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(b"first\n")
            file.flush()
            later.wait(0.2)
            file.write(b"second\n")

    writer = threading.Thread(target=write)
    writer.start()
    assert read(str(pipe)) == b"first\nsecond\n"
    writer.join()


def test_what_a_shell_substitutes_is_a_pipe_too() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"line\n")
    os.close(writing)
    assert read(f"/dev/fd/{reading}") == b"line\n"
    os.close(reading)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full"])
def test_a_device_is_refused_at_once(device: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(device)
    began = time.monotonic()
    for path in (device, str(link)):
        with pytest.raises(VerificationError, match="is a device"):
            read(path)
    assert time.monotonic() - began < 5


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(VerificationError, match="is a socket"):
            read("socket")


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(VerificationError, match="a is a link that leads back to itself"):
        read(str(tmp_path / "a"))
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with pytest.raises(VerificationError, match="does not exist"):
        read(str(tmp_path / "dangling"))


def test_the_empty_device_is_an_empty_file() -> None:
    with pytest.raises(VerificationError, match="is empty"):
        read("/dev/null")
