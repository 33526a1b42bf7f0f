"""Traffic at HAProxy's runtime socket: every change is read back, and an error is a text."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.errors import TargetConflict, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.targets.haproxy import HaproxyRouter, HaproxySettings
from airflow_cd.targets.haproxy.answers import BrokenAnswer, read_load, read_servers
from airflow_cd.targets.haproxy.router import moved_to
from tests.targets.haproxy.runtime_socket import One, RuntimeSocket, listening


@pytest.fixture
def folder() -> Iterator[Path]:
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="hap") as made:
        yield Path(made)


@pytest.fixture
def haproxy(folder: Path) -> Iterator[RuntimeSocket]:
    answers = RuntimeSocket({"web-1": One(), "web-2": One(address="10.0.0.3")})
    with listening(folder / "s", answers):
        yield answers


@pytest.fixture
def router(haproxy: RuntimeSocket, folder: Path) -> HaproxyRouter:
    return HaproxyRouter(HaproxySettings((str(folder / "s"),), "web", drain_seconds=0.2), sleep=lambda _: None)


def test_taken_out_is_maintenance_which_those_with_a_cookie_do_not_reach_either(
    router: HaproxyRouter, haproxy: RuntimeSocket
) -> None:
    assert router.take_out(["web-1"]) == []
    assert (haproxy.servers["web-1"].admin, haproxy.servers["web-2"].admin) == (1, 0)
    assert [server["web-1"].out for server in router.servers()] == [True]
    router.put_in(["web-1"])
    assert haproxy.servers["web-1"].admin == 0


def test_it_waits_until_the_last_request_has_ended(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    haproxy.servers["web-1"].sessions = [3, 2, 1, 0]
    assert router.take_out(["web-1"]) == []
    assert not [command for command in haproxy.asked if command.startswith("shutdown")]


def test_sessions_that_do_not_end_are_ended_and_counted(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    haproxy.servers["web-1"].sessions = [4]
    assert router.take_out(["web-1"]) == ["web-1 still had 4 sessions after 0.2 s, which were ended"]
    assert haproxy.servers["web-1"].sessions == [0]


def test_what_was_not_done_is_found_out_though_nothing_was_said(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    haproxy.deaf_to = "state"
    with pytest.raises(TargetRejected, match="said nothing and did nothing"):
        router.take_out(["web-1"])


def test_a_server_that_is_not_there_is_named(router: HaproxyRouter) -> None:
    with pytest.raises(TargetRejected, match="has no server web-9"):
        router.take_out(["web-9"])
    assert router.missing(["web-1", "web-9"]) == ["web-9"]


def test_a_backend_that_is_not_there_is_an_error_and_not_an_empty_one(folder: Path, haproxy: RuntimeSocket) -> None:
    with pytest.raises(TargetRejected, match="Can't find backend"):
        HaproxyRouter(HaproxySettings((str(folder / "s"),), "shop")).servers()


def test_a_socket_without_rights_is_found_out_before_and_while(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    haproxy.level = "operator"
    with pytest.raises(TargetUnauthorized, match="level admin"):
        router.require_rights()
    with pytest.raises(TargetUnauthorized, match="Permission denied"):
        router.take_out(["web-1"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
def test_a_socket_that_may_not_be_opened_is_a_matter_of_rights(
    router: HaproxyRouter, haproxy: RuntimeSocket, folder: Path
) -> None:
    (folder / "s").chmod(0)
    with pytest.raises(TargetUnauthorized, match="may not be opened"):
        router.servers()
    (folder / "s").chmod(0o600)


@pytest.mark.parametrize("address", ["/nowhere/haproxy.sock", "127.0.0.1:1"])
def test_a_process_that_is_away_is_unavailable(address: str) -> None:
    with pytest.raises(TargetUnavailable, match="does not answer"):
        HaproxyRouter(HaproxySettings((address,), "web")).servers()


def test_nothing_is_changed_by_a_caller_that_was_overruled(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    def overruled() -> None:
        raise TargetConflict("a newer token")

    for change in (router.take_out, router.put_in):
        with pytest.raises(TargetConflict):
            change(["web-1"], allowed=overruled)
    assert not [command for command in haproxy.asked if command.startswith("set")]


def test_with_two_processes_an_instance_is_out_of_both(folder: Path, haproxy: RuntimeSocket) -> None:
    other = RuntimeSocket({"web-1": One()})
    with listening(folder / "t", other):
        settings = HaproxySettings.read({"socket": [str(folder / "s"), str(folder / "t")], "backend": "web"})
        HaproxyRouter(settings).take_out(["web-1"])
        assert (haproxy.servers["web-1"].admin, other.servers["web-1"].admin) == (1, 1)
        assert HaproxyRouter(settings).missing(["web-1", "web-2"]) == ["web-2"]


def test_an_instance_that_is_out_by_its_weight_is_back_with_the_one_of_the_file(
    router: HaproxyRouter, haproxy: RuntimeSocket
) -> None:
    haproxy.servers["web-1"].weight = 0
    assert [server["web-1"].out for server in router.servers()] == [True]
    router.put_in(["web-1"])
    assert haproxy.servers["web-1"].weight == 1


def test_requests_follow_a_container_to_its_new_address(router: HaproxyRouter, haproxy: RuntimeSocket) -> None:
    router.follow("web-1", {"10.0.0.9": 24})
    assert haproxy.servers["web-1"].address == "10.0.0.9"
    haproxy.deaf_to = "addr"
    with pytest.raises(TargetRejected, match="did not send the requests"):
        router.follow("web-1", {"10.0.0.10": 24})


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("10.0.0.2", "10.0.0.9"),
        ("10.0.0.9", None),
        ("127.0.0.1", None),
        ("10.0.0.1", None),
        ("10.0.0.5", None),
        ("10.1.0.2", "10.1.0.7"),
        ("-", None),
        ("fd00::2", None),
    ],
)
def test_only_an_address_among_its_own_networks_is_an_old_one_of_its_own(address: str, wanted: str | None) -> None:
    own = {"10.0.0.9": 24, "10.1.0.7": 16}
    assert moved_to(address, own, taken={"10.0.0.1", "10.0.0.5"}) == wanted


@pytest.mark.parametrize("answer", ["", "Unknown command.", "1\n# be_id be_name srv_name\n3 web web-1"])
def test_an_answer_that_is_none_is_no_empty_backend(answer: str) -> None:
    with pytest.raises(BrokenAnswer):
        read_servers(answer, "web")
    with pytest.raises(BrokenAnswer):
        read_load(answer, "web")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("x", "not an object"),
        ({"backend": "web"}, "socket"),
        ({"socket": [], "backend": "web"}, "socket"),
        ({"socket": "/s"}, "backend"),
        ({"socket": "/s", "backend": "web; show env"}, "backend"),
        ({"socket": "/s", "backend": "web", "server": "x"}, "{instance}"),
        ({"socket": "/s", "backend": "web", "drain_seconds": 0}, "drain_seconds"),
        ({"socket": "/s", "backend": "web", "bakend": 1}, "bakend"),
    ],
)
def test_settings_that_cannot_work_are_named(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HaproxySettings.read(given)
