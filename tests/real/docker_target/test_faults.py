"""What goes wrong on Docker hosts, on a real one: each time a clear sentence, and nothing half."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from airflow_cd.errors import ArtifactNotFound, DeploymentFailed, TargetRejected, TargetUnavailable
from airflow_cd.instances import FAILED, HEALTHY, STARTING
from airflow_cd.release import Release
from airflow_cd.targets import DockerTarget
from airflow_cd.targets.docker.engine import Engine as Host
from airflow_cd.targets.haproxy import HaproxyRouter
from airflow_cd.targets.rollout import differences, read_back, wait_until

from .load import load
from .site import Site, release

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

COUNT = 3
STEPS = ("create", "put_files", "connect", "start", "stop", "rename", "remove", "restart_policy", "create_volume")
EVERY = int(os.environ.get("AIRFLOW_CD_EVERY", "3"))
"""From one kill to the next, in steps: with 1 every one of them, which takes minutes."""
OLD = Release("web", "1.0", "web:1.0", {})
_keys = itertools.count(1)


def key() -> str:
    return f"key-{os.getpid()}-{next(_keys)}"


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Site]:
    site.run(COUNT, "--env", "WEB_GREETING=by hand", "--env", "TIMEOUT=30")
    with site.routed("cookie SRV insert indirect nocache"):
        yield site


@pytest.fixture
def target(running: Site, tokens: Iterator[int]) -> Iterator[DockerTarget]:
    """The environment, everything on the first release and in the traffic; and nothing left over afterwards."""
    target = running.target()
    yield target
    back(target, running, tokens)


def back(target: DockerTarget, site: Site, tokens: Iterator[int]) -> None:
    """What a rollback does, and the state in which it has to end."""
    token = next(tokens)
    names = [instance.name for instance in target.instances()]
    touched = [instance.name for instance in target.instances() if not instance.runs(OLD) or instance.health != HEALTHY]
    target.drain(touched, key=key(), token=token)
    target.deploy(OLD, touched, key=key(), token=token)
    wait_until(target, dict.fromkeys(names, OLD), timeout=30)
    target.restore([instance.name for instance in target.instances() if instance.drained], key=key(), token=token)
    target.settled(token=token)
    whole(target, site)


def whole(target: DockerTarget, site: Site) -> None:
    """One container for each instance, all of them on the first release, healthy and in the traffic."""
    assert site.containers() == site.names
    assert differences(target.instances(), dict.fromkeys(site.names, OLD)) == []
    assert not [instance for instance in target.instances() if instance.drained]
    assert set(site.answers(4 * COUNT)) == {"1.0"}


def deploy(target: DockerTarget, wanted: Release, names: list[str], tokens: Iterator[int]) -> None:
    target.deploy(wanted, names, key=key(), token=next(tokens))
    wait_until(target, dict.fromkeys(names, wanted), timeout=30)


def test_settings_are_kept_and_the_configuration_is_inside(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    before = running.inspect("web-1")
    wanted = release("1.0", TIMEOUT=1, WEB_GREETING="Grüße", **{"/etc/web/motd": "hello\nworld\n"})
    deploy(target, wanted, ["web-1"], tokens)
    after = running.inspect("web-1")
    assert after["Id"] != before["Id"]
    for name in ("Memory", "Binds", "RestartPolicy", "PortBindings", "NetworkMode", "LogConfig"):
        assert after["HostConfig"][name] == before["HostConfig"][name]
    for name in ("Cmd", "Entrypoint", "User", "Hostname", "Healthcheck", "StopSignal", "ExposedPorts"):
        assert after["Config"].get(name) == before["Config"].get(name)
    aliases = after["NetworkSettings"]["Networks"][running.network]["Aliases"]
    assert "web" in aliases
    assert before["Config"]["Labels"].items() <= after["Config"]["Labels"].items()
    inside = running.engine("docker", "exec", "web-1", "cat", "/etc/web/motd")
    said = httpx.get(f"http://{running.address('web-1')}:8000").json()
    assert (inside, said["motd"], said["greeting"]) == ("hello\nworld\n", "hello\nworld\n", "Grüße")
    # Edited inside, as nothing but the truth shows.
    running.engine("docker", "exec", "web-1", "sh", "-c", "rm /etc/web/motd && echo other > /etc/web/motd")
    assert read_back(target, {"web-1": wanted}) == ['web-1 has /etc/web/motd "other\\n", wanted "hello\\nworld\\n"']
    # The way back is the very container that ran.
    back(target, running, tokens)
    assert running.inspect("web-1")["Id"] == before["Id"]
    assert running.inspect("web-1")["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_no_request_is_lost_while_everything_is_replaced_and_brought_back(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    assert running.haproxy is not None
    with load(running.haproxy.url) as seen:
        deploy(target, release("1.1"), running.names, tokens)
        time.sleep(0.3)
        moved = time.monotonic()
        time.sleep(0.3)
        assert set(seen.since(moved)) == {"1.1"}
        deploy(target, OLD, running.names, tokens)
    assert seen.lost == []
    assert {version for _, version in seen.answers} == {"1.0", "1.1"}


def test_whoever_has_a_cookie_for_a_drained_instance_is_answered_by_another(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    assert running.haproxy is not None
    deploy(target, release("1.1"), ["web-1"], tokens)
    with httpx.Client(cookies={"SRV": "web-1"}) as stuck:
        assert stuck.get(running.haproxy.url).json()["version"] == "1.1"
        target.drain(["web-1"], key=key(), token=next(tokens))
        assert {stuck.get(running.haproxy.url).json()["version"] for _ in range(20)} == {"1.0"}


def test_draining_waits_for_requests_under_way(target: DockerTarget, running: Site, tokens: Iterator[int]) -> None:
    assert running.haproxy is not None
    url = f"{running.haproxy.url}/slow=0.6"
    with load(url, workers=COUNT) as seen:
        time.sleep(0.3)
        target.drain(["web-1"], key=key(), token=next(tokens))
        target.deploy(release("1.1"), ["web-1"], key=key(), token=next(tokens))
    assert seen.lost == []


def test_an_image_that_cannot_be_had_is_found_out_before_anything_is_touched(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    nowhere = Release("web", "9", "127.0.0.1:1/web:9", {})
    before = [running.inspect(name)["Id"] for name in running.names]
    with pytest.raises(TargetUnavailable, match="registry cannot be asked"):
        target.check(nowhere)
    with pytest.raises((TargetUnavailable, ArtifactNotFound)):
        target.deploy(nowhere, running.names, key=key(), token=next(tokens))
    assert [running.inspect(name)["Id"] for name in running.names] == before


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.2", "ImportError: cannot import name 'parse_prices'"), ("1.3", "its health check failed")],
)
def test_a_release_that_does_not_come_up_says_why_and_gets_no_request(
    target: DockerTarget, running: Site, tokens: Iterator[int], version: str, words: str
) -> None:
    assert running.haproxy is not None
    with load(running.haproxy.url) as seen:
        target.deploy(release(version), running.names, key=key(), token=next(tokens))
        with pytest.raises(DeploymentFailed, match=words) as caught:
            wait_until(target, dict.fromkeys(running.names, release(version)), timeout=5)
        back(target, running, tokens)
    assert "web-1" in caught.value.unhealthy
    # The others were never touched, and nobody noticed.
    assert set(seen.since(0)) == {"1.0"}


def test_the_health_check_of_an_image_counts_with_its_start_period_and_goes_with_it(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    """A single failed check is one too many there, but for its first 30 s."""
    seen: list[tuple[str, str]] = []
    target.deploy(release("1.5"), ["web-1"], key=key(), token=next(tokens))
    note = lambda read: seen.extend((one.health, one.message) for one in read if one.name == "web-1")  # noqa: E731
    wait_until(target, {"web-1": release("1.5")}, timeout=30, on_read=note)
    log = running.inspect("web-1")["State"]["Health"]["Log"]
    assert any(check["ExitCode"] for check in log), "it has failed before"
    assert {health for health, _ in seen} <= {STARTING, HEALTHY}
    back(target, running, tokens)
    assert "StartPeriod" not in running.inspect("web-1")["Config"]["Healthcheck"]


def test_a_container_that_a_person_removes_is_there_again(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    deploy(target, release("1.1"), ["web-1"], tokens)
    running.engine("docker", "rm", "--force", "web-1")
    (gone,) = (instance for instance in target.instances() if instance.name == "web-1")
    assert (gone.health, "its container is gone" in gone.message) == (FAILED, True)


def test_stopped_containers_may_be_pruned(target: DockerTarget, running: Site, tokens: Iterator[int]) -> None:
    deploy(target, release("1.1", TIMEOUT=1), ["web-1"], tokens)
    running.engine("docker", "container", "prune", "--force")
    back(target, running, tokens)
    assert "TIMEOUT=30" in running.inspect("web-1")["Config"]["Env"]


def test_a_container_that_somebody_makes_anew_is_seen_and_taken_back(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    deploy(target, release("1.1"), ["web-1"], tokens)
    running.engine("docker", "rm", "--force", "web-1")
    options = ("--network", running.network, "--label", "com.example.service=web", "--hostname", "web-1")
    running.engine("docker", "run", "--detach", "--name", "web-1", *options, "web:1.4")
    (sentence,) = read_back(target, {"web-1": release("1.1")})
    assert sentence == "web-1 runs web:1.4, wanted web:1.1"


def test_the_way_back_needs_neither_registry_nor_tag(
    target: DockerTarget, running: Site, tokens: Iterator[int]
) -> None:
    deploy(target, release("1.1"), running.names, tokens)
    image = running.inspect("web-1.airflow-cd.kept")["Image"]
    running.engine("docker", "tag", "web:1.4", "web:1.0")
    running.engine("docker", "image", "prune", "--force")
    try:
        back(target, running, tokens)
        assert {running.inspect(name)["Image"] for name in running.names} == {image}
        with pytest.raises(TargetRejected, match="means another image now"):
            target.check(OLD)
    finally:
        running.engine("docker", "tag", image, "web:1.0")


def test_haproxy_that_somebody_reloads_is_noticed(target: DockerTarget, running: Site, tokens: Iterator[int]) -> None:
    assert running.haproxy is not None
    deploy(target, release("1.1"), ["web-1"], tokens)
    target.drain(["web-1"], key=key(), token=next(tokens))
    running.haproxy.reload()
    (again,) = (instance for instance in target.instances() if instance.name == "web-1")
    assert not again.drained
    assert "was drained, and HAProxy gives it traffic again" in again.message


def test_a_process_that_ignores_sigterm_is_said(
    target: DockerTarget, running: Site, tokens: Iterator[int], caplog: pytest.LogCaptureFixture
) -> None:
    deploy(target, release("1.4"), ["web-1"], tokens)
    target.drain(["web-1"], key=key(), token=next(tokens))
    began = time.monotonic()
    target.deploy(OLD, ["web-1"], key=key(), token=next(tokens))
    assert time.monotonic() - began < 9
    assert "web-1 did not end by itself within 5 s and was killed" in caplog.text


def test_a_port_that_is_taken_is_named(site: Site, running: Site, tokens: Iterator[int]) -> None:
    port = str(running.haproxy.port) if running.haproxy else ""
    options = ("--publish", f"127.0.0.1:{port}:8000", "--label", "port=taken", "--network", running.network)
    running.engine("docker", "create", "--name", "taken", *options, "web:1.0")
    try:
        conn_id = running.connection("docker_taken", haproxy=None)
        target = DockerTarget(conn_id, "taken", containers="label=port=taken")
        target.deploy(release("1.1"), ["taken"], key=key(), token=next(tokens))
        with pytest.raises(DeploymentFailed, match="a port that it publishes is taken"):
            wait_until(target, {"taken": release("1.1")}, timeout=5)
    finally:
        running.engine("docker", "rm", "--force", *(name for name in running.containers() if name.startswith("taken")))
        running.connection()


# -- killed at each step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["forward", "back"])
def test_killed_at_any_step_nothing_stays_half(running: Site, tokens: Iterator[int], way: str) -> None:
    """A process is killed by -9 before what it does to the daemon, which is after what it did before."""
    target, wanted = running.target(), release("1.1", TIMEOUT=1, **{"/etc/web/motd": "x"})
    kills = 0
    for step in itertools.count(random.randrange(EVERY), EVERY):
        if way == "back":
            deploy(target, wanted, ["web-1"], tokens)
        died = _killed(target, wanted if way == "forward" else OLD, next(tokens), step)
        _no_instance_runs_twice(running)
        assert [instance.name for instance in target.instances()] == running.names
        if way == "forward" and kills % 3 == 2:
            # Gone on with instead of back.
            deploy(target, wanted, ["web-1"], tokens)
        back(target, running, tokens)
        if not died:
            break
        kills += 1
    assert kills >= 10 // EVERY


def _no_instance_runs_twice(site: Site) -> None:
    names = site.engine("docker", "ps", "--format", "{{.Names}}").split()
    assert len({name.partition(".airflow-cd.")[0] for name in names}) == len(names)
    assert not [name for name in names if ".airflow-cd." in name]


def _killed(target: DockerTarget, wanted: Release, token: int, step: int) -> bool:
    """Deploy in a process that ends at its n-th step; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            _end_at(step)
            same = DockerTarget(target.conn_id, target.environment, settle=target.settle, patience=target.patience)
            same.deploy(wanted, ["web-1"], key=f"killed-{step}-{token}", token=token)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _end_at(step: int) -> None:
    count = itertools.count()

    def ending(method: Any) -> Any:
        def call(self: Any, *arguments: Any) -> Any:
            if next(count) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(self, *arguments)

        return call

    for name in STEPS:
        setattr(Host, name, ending(getattr(Host, name)))
    for name in ("_set", "follow"):
        setattr(HaproxyRouter, name, ending(getattr(HaproxyRouter, name)))
