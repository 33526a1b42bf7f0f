"""A Docker daemon of the tests' own, which leaves nothing behind, and the images in it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

TOOLS = ("dockerd", "docker", "docker-compose", "mmdebstrap", "setpriv", "ip", "umount")
"""What has to be on the machine; in Debian: docker.io, docker-compose, mmdebstrap, the rest is always there."""

START_SECONDS = 120.0
STOP_SECONDS = 60.0
SHOWN = 120
POOL, COMPOSED_POOL = "10.211.0.0/16", "10.212.0.0/16"


class EngineError(Exception):
    """The daemon, or a command given to it, failed; the text says what it said."""


class Engine:
    """A running daemon; made by :func:`engine`.

    :param run: folder of its socket and of all that ends with it.
    :param daemon: its process.
    """

    def __init__(self, run: Path, daemon: subprocess.Popen[bytes]) -> None:
        self.daemon = daemon
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{run / 'docker.sock'}",
            # The builder that every version of Docker has; the other one needs a plugin from version 23.
            "DOCKER_BUILDKIT": "0",
            "DOCKER_CONFIG": str(run / "config"),
        }

    def __call__(self, *command: str, **variables: str) -> str:
        """Run a command against this daemon and return what it printed.

        :param variables: further environment variables.
        :raises EngineError: with the end of what it said when it fails.
        """
        return run(command, self.environment | variables)

    def has(self, image: str) -> bool:
        """Whether there is an image of this name."""
        return bool(self("docker", "images", "--quiet", image).strip())

    def build(self, tag: str, context: Path, *options: str, base: str) -> None:
        """Build an image; what was built before is taken from the daemon's cache."""
        # The daemon has no network of its own to offer, and needs none: the builder takes the machine's.
        network = ("--network", "host", "--build-arg", f"BASE_IMAGE={base}")
        self("docker", "build", "--quiet", *network, *options, "--tag", tag, str(context))


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed; raises :class:`EngineError` when it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN:])
        raise EngineError(f"{' '.join(command)} ended with code {done.returncode}:\n{said}")
    return done.stdout


def missing() -> str:
    """Why no daemon can be started here, ``""`` when one can."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent:
        return f"there is no {', '.join(absent)} on this machine"
    return "" if os.geteuid() == 0 else "a Docker daemon is started by root alone"


@contextlib.contextmanager
def engine(cache: Path, pool: str = POOL) -> Iterator[Engine]:
    """A daemon with its images in a folder that outlives it.

    It has no bridge and writes no rule of the firewall: containers reach each other and are reached on published
    ports, and nothing of the machine's network is other than before when it has ended.

    :param cache: used by one at a time; whoever comes second waits.
    :param pool: where its networks get their addresses from; no two daemons that run at once may have the same.
    """
    cache.mkdir(parents=True, exist_ok=True)
    cache = cache.resolve()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # The same one every time, so that what a killed run left is found; short, as a socket's path has to be.
        name = hashlib.sha256(str(cache).encode()).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"airflow-cd-real-{name}"
        _end(folder, cache)
        folder.mkdir(mode=0o700)
        running = None
        try:
            running = _start(folder, cache, pool)
            yield running
        finally:
            if running is not None:
                with contextlib.suppress(EngineError):
                    _empty(running)
            _end(folder, cache)
            if running is not None:
                running.daemon.wait(STOP_SECONDS)


def _start(folder: Path, cache: Path, pool: str) -> Engine:
    log = cache / "dockerd.log"
    # Whoever kills the tests ends the daemon too, and it ends its containers.
    command = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--data-root", str(cache / "docker")]
    command += ["--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
    command += ["--host", f"unix://{folder / 'docker.sock'}"]
    command += ["--bridge", "none", "--iptables=false", "--ip-forward=false"]
    command += ["--default-address-pool", f"base={pool},size=24"]
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    started = Engine(folder, daemon)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            started("docker", "version")
        except EngineError as error:
            if daemon.poll() is not None or time.monotonic() > deadline:
                said = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                raise EngineError(f"dockerd did not start. It said last:\n{said}") from error
            time.sleep(0.2)
        else:
            break
    # A run that was killed leaves containers, which a daemon starts again.
    _empty(started)
    return started


def _empty(engine: Engine) -> None:
    """Take everything away but images; with networks their interfaces go, of which the machine may have others."""
    if left := engine("docker", "ps", "--all", "--quiet").split():
        engine("docker", "rm", "--force", "--volumes", *left)
    engine("docker", "network", "prune", "--force")
    engine("docker", "volume", "prune", "--force")


def _end(folder: Path, cache: Path) -> None:
    """End the daemon of this folder, whoever started it, with its containers, its mounts and its files."""
    daemons = [process for process in _processes(folder) if _name(process) == "dockerd"]
    for process in daemons:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    psutil.wait_procs(daemons, timeout=STOP_SECONDS)
    # Only a daemon that was killed leaves any of these, with what runs in its containers.
    for process in _processes(folder):
        with contextlib.suppress(psutil.Error):
            for one in (*process.children(recursive=True), process):
                one.kill()
    # Beside its images another daemon may have a folder of its own in the cache.
    for mounted in _mounts(folder, cache / "docker"):
        run(["umount", "--lazy", mounted])
    shutil.rmtree(folder, ignore_errors=True)


def _processes(folder: Path) -> list[psutil.Process]:
    """The daemon and what it runs its containers by."""
    return [
        process
        for process in psutil.process_iter()
        if _name(process).startswith(("dockerd", "containerd")) and any(str(folder) in part for part in _words(process))
    ]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _mounts(*folders: Path) -> list[str]:
    """What is mounted in the folders, the innermost first."""
    places = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((str(place) for place in places if any(map(place.is_relative_to, folders))), reverse=True)
