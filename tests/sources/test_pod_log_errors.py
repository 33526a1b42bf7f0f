"""What a cluster says in the place of a container's log, or behind it, is never taken for silence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import KubernetesLogs
from airflow_cd.verification.samples import Window
from tests.sources.test_pod_logs import BEGIN, WINDOW, Pods, at, line, running

LOST = "unable to retrieve container logs for containerd://61a93aa"
UNREAD = 'failed to read log file "/var/log/pods/shop/0.log": input/output error'


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    made = Pods()
    monkeypatch.setattr(Cluster, "every", made.every)
    monkeypatch.setattr(Cluster, "content", made.content)
    made.containers = {"shop": running()}
    return made


def ended(seconds: float) -> dict[str, Any]:
    return {"terminated": {"startedAt": f"{at(-3600)}Z", "finishedAt": f"{at(seconds)}Z", "containerID": "c://1"}}


def test_a_log_that_is_an_error_alone_cannot_be_read(pods):
    pods.files = {("shop", False): LOST}
    with pytest.raises(SourceUnavailable, match=f"shop of web-1 cannot be read; the cluster says: {LOST}"):
        KubernetesLogs().read(WINDOW, ["web-1"])


def test_an_error_behind_lines_makes_them_incomplete(pods):
    pods.files = {("shop", False): line(5, "INFO one") + line(6, "INFO two") + UNREAD}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert list(sample.frame["message"]) == ["INFO one", "INFO two"]
    assert sample.truncated
    assert f"the cluster ends its log with {UNREAD!r}" in sample.warnings[0]


def test_an_error_behind_lines_of_another_time_makes_it_incomplete(pods, monkeypatch):
    # Where the window's lines would be there is the error alone, though the log begins well.
    answers = {"": line(-60, "INFO one").encode() + UNREAD.encode(), "since": UNREAD.encode()}
    monkeypatch.setattr(Cluster, "content", lambda _, __, params: answers["since" if "sinceTime" in params else ""])
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.truncated
    assert UNREAD in sample.warnings[0]


@pytest.mark.parametrize("end", ["of the line\n", "of the line\n" + line(5, "INFO one")])
def test_the_rest_of_a_line_that_began_before_is_no_error(pods, monkeypatch, end):
    # Of a line in pieces the first has a stamp alone, and what is older than what is asked for is left out.
    whole = line(-2, "WARN the beginning").removesuffix("\n") + end
    monkeypatch.setattr(Cluster, "content", lambda _, __, params: (end if "sinceTime" in params else whole).encode())
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert list(sample.frame["message"]) == (["INFO one"] if "INFO" in end else [])
    assert not sample.truncated
    assert sample.warnings == ()


@pytest.mark.parametrize(("said", "why"), [(LOST, f"the cluster says {LOST!r}"), (None, "that run's log no more")])
@pytest.mark.parametrize(("finished", "lost"), [(50, True), (-30, False)])
def test_a_run_before_whose_log_is_not_there(pods, said, why, finished, lost):
    state = running(max(finished, -30) + 1, restarts=1)
    pods.containers = {"shop": {**state, "lastState": ended(finished)}}
    pods.files = {("shop", True): said, ("shop", False): line(55, "INFO started")}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert list(sample.frame["message"]) == ["INFO started"]
    assert sample.truncated == lost
    expected = f"A part of what shop of web-1 wrote is lost: it was started again, and {why}"
    assert [warning.startswith(expected[:70]) and why in warning for warning in sample.warnings] == [True] * lost


@pytest.mark.parametrize(("finished", "lost"), [(50, True), (-30, False)])
def test_an_ended_container_whose_log_is_not_there_hides_no_other(pods, finished, lost):
    pods.containers = {"shop": {"state": ended(finished)}, "proxy": running()}
    pods.files = {("shop", False): LOST, ("proxy", False): line(5, "INFO of the proxy")}
    sample = KubernetesLogs(container="*").read(WINDOW, ["web-1"])
    assert list(sample.frame["message"]) == ["INFO of the proxy"]
    assert sample.truncated == bool(sample.warnings) == lost


def test_a_pod_that_goes_while_it_is_read_is_said(pods):
    pods.files = {("shop", False): None}
    sample = KubernetesLogs().read(WINDOW, ["web-1"])
    assert sample.truncated
    assert "what shop of web-1 wrote is lost: it has run, and the cluster has its log no more" in sample.warnings[0]


@pytest.mark.parametrize("hours", [8, -3.5])
def test_stamps_may_be_in_the_zone_of_the_node(pods, monkeypatch, hours):
    zone = dt.timezone(dt.timedelta(hours=hours))
    begin = f"{(BEGIN + dt.timedelta(seconds=5)).astimezone(zone):%Y-%m-%dT%H:%M:%S}.250000000"
    offset = f"{'+' if hours > 0 else '-'}{int(abs(hours)):02}:{int(abs(hours) % 1 * 60):02}"
    piece = 16 * 1024
    text = "x" * (piece + 9)
    stamp = f"{begin}{offset} "
    content = f"{stamp}ERROR no card\n{stamp}{text[:piece]}{stamp}{text[piece:]}\n"
    monkeypatch.setattr(Cluster, "content", lambda *_: content.encode())
    frame = KubernetesLogs().read(WINDOW, ["web-1"]).frame
    assert list(frame["message"]) == ["ERROR no card", text]
    assert set(frame["time"]) == {BEGIN + dt.timedelta(seconds=5.25)}


def test_an_answer_that_is_no_pod_is_the_sources_error(monkeypatch):
    monkeypatch.setattr(Cluster, "every", lambda *_, **__: [{"status": "unknown"}])
    with pytest.raises(SourceUnavailable, match="answered with something that cannot be read"):
        KubernetesLogs().read(Window(BEGIN, BEGIN), ["web-1"])
