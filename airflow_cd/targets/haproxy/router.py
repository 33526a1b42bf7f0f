"""Taking instances out of the traffic and giving it back, at HAProxy's runtime socket; every change is read back."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket as sockets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from airflow_cd.errors import TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.targets.haproxy.answers import BrokenAnswer, Load, Server, read_load, read_servers
from airflow_cd.targets.haproxy.settings import HaproxySettings

log = logging.getLogger(__name__)

POLL = 0.05
LONGEST_ANSWER = 16 * 1024 * 1024


class HaproxyRouter:
    """The traffic of an environment, whose instances are servers of one backend.

    With several processes an instance is out when it is out of all of them, and has its traffic when all give it.

    :param settings: how it is reached.
    :param sleep: called with seconds to wait.
    """

    def __init__(self, settings: HaproxySettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.settings = settings
        self._sleep = sleep

    # -- reading ---------------------------------------------------------------------------------------------------

    def servers(self) -> list[dict[str, Server]]:
        """The backend's servers by name, of each process.

        :raises TargetUnavailable: a process does not answer.
        :raises TargetRejected: it has no such backend.
        """
        return [self._servers(address) for address in self.settings.sockets]

    def load(self) -> dict[str, Load]:
        """What goes on at each server: the sessions of all processes, and the worst status.

        :raises TargetUnavailable: a process does not answer.
        """
        found: dict[str, Load] = {}
        for address in self.settings.sockets:
            for name, load in self._load(address).items():
                other = found.get(name)
                worse = other if other is not None and other.status.startswith("DOWN") else load
                sessions = load.sessions + (other.sessions if other is not None else 0)
                found[name] = Load(sessions, worse.status, worse.check)
        return found

    def missing(self, instances: Iterable[str]) -> list[str]:
        """Which instances have no server in every process.

        :param instances: their names.
        """
        everywhere = self.servers()
        return [name for name in instances if any(self.settings.server_of(name) not in one for one in everywhere)]

    def require_rights(self) -> None:
        """Check that the sockets let us change something, before anything has to be.

        :raises TargetUnauthorized: one does not.
        """
        for address in self.settings.sockets:
            level = self._ask(address, "show cli level").strip()
            if level != "admin":
                raise TargetUnauthorized(
                    f"HAProxy's socket {address} is of level {level or 'unknown'!r} and lets us read only.",
                    state="nothing was changed.",
                    next_step="Add `level admin` to its `stats socket` line.",
                )

    # -- changing --------------------------------------------------------------------------------------------------

    def take_out(self, instances: Sequence[str], *, allowed: Callable[[], None] = lambda: None) -> list[str]:
        """Keep instances out of the traffic; returns when no request reaches them any more.

        The state is *maint* and not *drain*: in the state *drain* HAProxy still sends the requests of whoever has a
        cookie for that server. Requests under way may end within ``drain_seconds``; then their sessions are ended.

        :param instances: their names.
        :param allowed: called before each change; raises when the caller was overruled.
        :returns: a sentence for each instance whose sessions had to be ended.
        :raises TargetRejected: HAProxy refuses, or does not know an instance.
        :raises TargetUnavailable: a process does not answer.
        """
        for address in self.settings.sockets:
            for name in instances:
                allowed()
                self._set(address, name, "state maint", lambda server: server.out)
        return self._wait_until_quiet(instances)

    def put_in(self, instances: Sequence[str], *, allowed: Callable[[], None] = lambda: None) -> None:
        """Give instances their traffic back, with the weight that they had.

        :param instances: their names.
        :param allowed: called before each change; raises when the caller was overruled.
        :raises TargetRejected: HAProxy refuses, or does not know an instance.
        :raises TargetUnavailable: a process does not answer.
        """
        for address in self.settings.sockets:
            for name in instances:
                allowed()
                server = self._server(self._servers(address), name, address)
                if server.weight == 0 and server.first_weight > 0:
                    self._set(address, name, f"weight {server.first_weight}", lambda now: now.weight > 0)
                self._set(address, name, "state ready", lambda now: not now.out)

    def follow(self, instance: str, addresses: Mapping[str, int], taken: Collection[str] = ()) -> None:
        """Have requests go to where an instance is now, if HAProxy sends them to an address among its networks.

        A server that is reached by a published port, or by a name, stays as it is.

        :param instance: its name.
        :param addresses: addresses of the instance, each with the length of its network's prefix.
        :param taken: addresses that belong to something else, as a gateway's: what is reached by them stays as it is.
        :raises TargetRejected: HAProxy refuses.
        """
        for address in self.settings.sockets:
            server = self._server(self._servers(address), instance, address)
            wanted = moved_to(server.address, addresses, taken)
            if wanted is None:
                continue
            name = self.settings.server_of(instance)
            # The one command whose answer says that it was done; so only what is read back counts.
            said = self._ask(address, f"set server {self.settings.backend}/{name} addr {wanted} port {server.port}")
            if self._server(self._servers(address), instance, address).address != wanted:
                raise self._refused(address, f"send the requests of {instance} to {wanted}", said)
            log.info("HAProxy sends the requests of %s to %s now, no longer to %s.", instance, wanted, server.address)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _wait_until_quiet(self, instances: Sequence[str]) -> list[str]:
        wanted = {self.settings.server_of(name): name for name in instances}
        ends = time.monotonic() + self.settings.drain_seconds
        while True:
            load = self.load()
            busy = {server: load[server].sessions for server in wanted if server in load and load[server].sessions}
            if not busy:
                return []
            if time.monotonic() >= ends:
                break
            self._sleep(POLL)
        for server in busy:
            for address in self.settings.sockets:
                # The answer says how many were ended.
                self._ask(address, f"shutdown sessions server {self.settings.backend}/{server}")
        return [
            f"{wanted[server]} still had {count} sessions after {self.settings.drain_seconds:g} s, which were ended"
            for server, count in busy.items()
        ]

    def _set(self, address: str, instance: str, what: str, as_wanted: Callable[[Server], bool]) -> None:
        server = self._server(self._servers(address), instance, address)
        if as_wanted(server) and not what.startswith("state ready"):
            return
        said = self._ask(address, f"set server {self.settings.backend}/{server.name} {what}")
        if said.strip():
            raise self._refused(address, f"set {instance} to {what}", said)
        if not as_wanted(self._server(self._servers(address), instance, address)):
            raise self._refused(address, f"set {instance} to {what}", "it said nothing and did nothing")

    def _server(self, servers: Mapping[str, Server], instance: str, address: str) -> Server:
        name = self.settings.server_of(instance)
        if name not in servers:
            raise TargetRejected(
                f"backend {self.settings.backend} of HAProxy ({address}) has no server {name}, so it cannot divide the "
                f"traffic of {instance}.",
                instances=(instance,),
                next_step=f"Name a server of that backend {name}, or set `server` in the connection's extra.",
            )
        return servers[name]

    def _servers(self, address: str) -> dict[str, Server]:
        said = self._ask(address, f"show servers state {self.settings.backend}")
        try:
            return read_servers(said, self.settings.backend)
        except BrokenAnswer as broken:
            raise self._refused(
                address, f"list the servers of backend {self.settings.backend}", str(broken)
            ) from broken

    def _load(self, address: str) -> dict[str, Load]:
        said = self._ask(address, f"show stat {self.settings.backend} 4 -1")
        try:
            return read_load(said, self.settings.backend)
        except BrokenAnswer as broken:
            raise self._refused(
                address, f"say what goes on in backend {self.settings.backend}", str(broken)
            ) from broken

    def _refused(self, address: str, what: str, said: str) -> TargetRejected | TargetUnauthorized:
        text = " ".join(said.split())[:200]
        if "permission denied" in text.lower():
            return TargetUnauthorized(
                f"HAProxy's socket {address} does not let us {what}: {text}",
                next_step="Add `level admin` to its `stats socket` line.",
            )
        return TargetRejected(
            f"HAProxy ({address}) did not {what}: {text}",
            next_step="Compare the connection's extra with HAProxy's configuration.",
        )

    def _ask(self, address: str, command: str) -> str:
        try:
            with self._connected(address) as connection:
                connection.sendall(command.encode() + b"\n")
                answer = b""
                while chunk := connection.recv(65536):
                    answer += chunk
                    if len(answer) > LONGEST_ANSWER:
                        break
        except OSError as error:
            if isinstance(error, PermissionError):
                raise TargetUnauthorized(
                    f"HAProxy's socket {address} may not be opened by this user.",
                    next_step="Let the tasks' user open it: `mode`, `user` or `group` in its `stats socket` line.",
                ) from error
            raise TargetUnavailable(
                f"HAProxy does not answer at {address}: {error.strerror or type(error).__name__}.",
                next_step="See whether it runs, and whether its socket can be reached from where tasks run.",
            ) from error
        return answer.decode(errors="replace")

    def _connected(self, address: str) -> sockets.socket:
        host, colon, port = address.rpartition(":")
        if address.startswith("/") or not colon or not port.isdigit():
            connection = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
            connection.settimeout(self.settings.timeout)
            try:
                connection.connect(address)
            except OSError:
                connection.close()
                raise
            return connection
        return sockets.create_connection((host.strip("[]"), int(port)), timeout=self.settings.timeout)


def moved_to(address: str, addresses: Mapping[str, int], taken: Collection[str] = ()) -> str | None:
    """Where an instance is reached instead of an address in one of its own networks; None when that is right.

    :param address: where a router sends its requests.
    :param addresses: addresses of the instance, each with the length of its network's prefix.
    :param taken: addresses of something else.
    """
    if address in taken:
        return None
    with contextlib.suppress(ValueError):
        given = ipaddress.ip_address(address)
        for own, prefix in addresses.items():
            network = ipaddress.ip_network(f"{own}/{prefix}", strict=False)
            if given.version == network.version and given in network:
                return None if given == ipaddress.ip_address(own) else own
    return None
