"""A whole Kubernetes of one node, with real pods, in a network namespace of its own; it leaves nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.pace import slowness
from tests.real.engine import EngineError, run
from tests.real.kubernetes import images, settings
from tests.real.kubernetes.building import build

START_SECONDS = 300.0
AT_ONCE = 4
"""Clusters that this machine may have at a time."""
JSON_PATCH = "application/merge-patch+json"


class Cluster:
    """A running cluster; made by :func:`cluster`.

    :ivar url: of its API, reachable from this machine.
    :ivar kubeconfig: of a user who may do everything.

    :param place: what it has on this machine for itself; its folder ends with it.
    :param binaries: Kubernetes' commands.
    """

    def __init__(self, place: settings.Place, binaries: Path) -> None:
        self.place = place
        self.folder = place.folder
        self.binaries = binaries
        self.namespace = place.namespace
        self.url = f"https://{place.address}:6443"
        self.token = secrets.token_hex(16)
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self._held: int | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def kubeconfig(self) -> dict[str, Any]:
        """As a kubeconfig file has it."""
        ca = str(self.folder / "certs" / "ca.crt")
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "real", "cluster": {"server": self.url, "certificate-authority": ca}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": "admin"}}],
            "current-context": "real",
        }

    # -- the API -------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Call the API; raises :class:`requests.HTTPError` with what it said."""
        return self._ask(method, path, body, content_type).json()

    def text(self, path: str) -> str:
        """What the API answers that is no JSON, such as a pod's or a Service's own answers."""
        return self._ask("GET", path, None, "application/json").text

    def _ask(self, method: str, path: str, body: Any, content_type: str) -> requests.Response:
        answer = self._session.request(
            method,
            self.url + path,
            data=json.dumps(body) if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": content_type},
            verify=str(self.folder / "certs" / "ca.crt"),
            timeout=15,
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text}", response=answer)
        return answer

    def patch(self, path: str, body: Any) -> Any:
        """Merge a patch into an object."""
        return self.call("PATCH", path, body, JSON_PATCH)

    def load(self, archive: Path) -> None:
        """Put an image into the node."""
        run(["ctr", "--address", str(self._socket), "--namespace", "k8s.io", "images", "import", str(archive)])

    # -- its parts -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until the node is ready."""
        self._network()
        settings.write(self.folder, self.token, self.place.address)
        certificates = self.folder / "certs"
        self.part("etcd", settings.etcd(self.folder))
        self.part("kube-apiserver", settings.apiserver(self.folder, certificates))
        (self.folder / "admin.conf").write_text(json.dumps(self.kubeconfig))
        self.part("containerd", ["containerd", "--config", str(self.folder / "containerd.toml")])
        self.until(lambda: self.call("GET", "/version"), "the API answers")
        self.load(images.pause(self.folder))
        for name, arguments in settings.controllers(self.folder).items():
            self.part(name, arguments)
        self.until(self._is_ready, "the node is ready")

    def restart(self, name: str) -> None:
        """Kill a part with -9 and start it again."""
        with self.without(name):
            pass

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """Kill a part with -9, and start it again afterwards."""
        command = self.parts[name].args
        self.parts[name].kill()
        self.parts[name].wait()
        assert isinstance(command, list)
        try:
            yield
        finally:
            self.parts[name] = self._popen(name, command)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
        """Wait for something that becomes true; what raises is not true yet."""
        deadline = time.monotonic() + seconds * slowness()
        last: object = None
        while time.monotonic() < deadline:
            try:
                if (found := condition()) is not None and found is not False:
                    return found
            except (requests.RequestException, EngineError) as error:
                last = error
            time.sleep(0.1)
        ended = [f"{name}: {self._last_words(name)}" for name, part in self.parts.items() if part.poll() is not None]
        raise AssertionError("\n".join([f"not within {seconds:.0f} s: {what} ({last})", *ended]))

    def _last_words(self, name: str) -> str:
        log = self.folder / "log" / f"{name}.log"
        return " | ".join(log.read_text(errors="replace").splitlines()[-3:])

    def _is_ready(self) -> bool:
        node = self.call("GET", f"/api/v1/nodes/{settings.NODE}")
        return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])

    @property
    def _socket(self) -> Path:
        return self.folder / "run" / "containerd.sock"

    def part(self, name: str, command: list[str]) -> None:
        """Start something inside the cluster's network, which ends with the cluster."""
        binary = self.binaries / name
        whole = [str(binary) if binary.exists() else command[0], *command[1:]]
        inside = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self._held}", "setpriv", "--pdeathsig", "TERM", *whole]
        self.parts[name] = self._popen(name, inside)

    def _popen(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        log = self.folder / "log" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        # There is memory, and collecting garbage is a tenth of what the API server does.
        environment = {**os.environ, "GOGC": "400"}
        with log.open("ab") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)

    def _network(self) -> None:
        """A namespace with a link that this machine reaches it by, and one that stands for the node's network."""
        name, place = self.namespace, self.place
        run(["ip", "netns", "add", name])
        # Held open, so that whoever clears away namespaces meanwhile takes only its name.
        self._held = os.open(f"/run/netns/{name}", os.O_RDONLY)
        for command in (
            f"ip -n {name} link set lo up",
            f"ip -n {name} link add node0 type veth peer name node1",
            f"ip -n {name} link set node1 up",
            f"ip -n {name} addr add {settings.NODE_ADDRESS}/24 dev node0",
            f"ip -n {name} link set node0 up",
            f"ip -n {name} route add default dev node0",
            f"ip link add {place.link} type veth peer name api0 netns {name}",
            f"ip addr add {place.machine_address}/30 dev {place.link}",
            f"ip link set {place.link} up",
            f"ip -n {name} addr add {place.address}/30 dev api0",
            f"ip -n {name} link set api0 up",
        ):
            run(command.split())

    def stop(self) -> None:
        """End everything: pods and parts."""
        for name, part in reversed(self.parts.items()):
            if name != "containerd":
                part.terminate()
        for name, part in self.parts.items():
            if name != "containerd":
                _ended(part)
        self._end_pods()
        if "containerd" in self.parts:
            self.parts["containerd"].terminate()
            _ended(self.parts["containerd"])
        for process in _inside(self.namespace):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._held is not None:
            os.close(self._held)

    def _end_pods(self) -> None:
        client = ["ctr", "--address", str(self._socket), "--namespace", "k8s.io", "tasks"]
        with contextlib.suppress(EngineError):
            for task in run([*client, "list", "--quiet"]).split():
                with contextlib.suppress(EngineError):
                    run([*client, "kill", "--signal", "KILL", task])
                with contextlib.suppress(EngineError):
                    run([*client, "delete", "--force", task])


@contextlib.contextmanager
def cluster(cache: Path) -> Iterator[Cluster]:
    """A cluster, from the commands in a folder that outlives it.

    :param cache: where the commands are kept.
    """
    binaries = build(cache)
    with _place() as place:
        _clear(place)
        place.folder.mkdir(mode=0o700)
        running = Cluster(place, binaries)
        try:
            running.start()
            yield running
        finally:
            running.stop()
            _clear(place)


@contextlib.contextmanager
def _place() -> Iterator[settings.Place]:
    """The first one that nobody else has; waits until there is one."""
    with contextlib.ExitStack() as held:
        while True:
            for number in range(1, AT_ONCE + 1):
                place = settings.Place(number)
                lock = held.enter_context(place.folder.with_suffix(".lock").open("w"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    lock.close()
                    continue
                yield place
                return
            time.sleep(1)


def _clear(place: settings.Place) -> None:
    """Take away what a cluster has left: pods that outlive whoever started them, mounts, its namespace, files."""
    folder = place.folder
    if not folder.exists():
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in word for word in process.cmdline()):
                for one in (*process.children(recursive=True), process):
                    one.kill()
    for mounted in settings.mounts_in(folder):
        with contextlib.suppress(EngineError):
            run(["umount", "--lazy", mounted])
    with contextlib.suppress(EngineError):
        run(["ip", "link", "delete", place.link])
    with contextlib.suppress(EngineError):
        run(["ip", "netns", "delete", place.namespace])
    shutil.rmtree(folder, ignore_errors=True)


def _ended(part: subprocess.Popen[bytes]) -> None:
    try:
        part.wait(10)
    except subprocess.TimeoutExpired:
        part.kill()
        part.wait()


def _inside(namespace: str) -> list[int]:
    with contextlib.suppress(EngineError):
        return [int(word) for word in run(["ip", "netns", "pids", namespace]).split()]
    return []
