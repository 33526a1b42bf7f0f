"""A runtime socket that answers as HAProxy does, over servers that a test can look at."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEADER = (
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port"
)


@dataclass
class One:
    """A server of the backend."""

    address: str = "10.0.0.2"
    admin: int = 0
    weight: int = 1
    sessions: list[int] = field(default_factory=lambda: [0])
    status: str = "UP"


@dataclass
class RuntimeSocket:
    """What it has, what it was asked, and what it refuses to do."""

    servers: dict[str, One]
    level: str = "admin"
    deaf_to: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, command: str) -> str:
        self.asked.append(command)
        words = command.split()
        if words[:2] == ["show", "cli"]:
            return f"{self.level}\n\n"
        if words[:3] == ["show", "servers", "state"]:
            return self._state(words[3])
        if words[:2] == ["show", "stat"]:
            return self._stat()
        if words[0] != "show" and self.level != "admin":
            return "Permission denied\n\n"
        name = (words[2] if words[0] == "set" else words[3]).partition("/")[2]
        if name not in self.servers:
            return "No such server.\n\n"
        return self._change(self.servers[name], words)

    def _change(self, server: One, words: list[str]) -> str:
        if words[0] == "shutdown":
            server.sessions = [0]
            return "\n"
        what, value = words[3], words[4]
        if what == self.deaf_to:
            return "\n"
        if what == "state":
            server.admin = {"ready": 0, "maint": 1, "drain": 8}[value]
        elif what == "weight":
            server.weight = int(value)
        elif what == "addr":
            before, server.address = server.address, value
            return f"IP changed from '{before}' to '{value}', no need to change the port by 'stats socket command'\n\n"
        return "\n"

    def _state(self, backend: str) -> str:
        if backend != "web":
            return "Can't find backend.\n\n"
        rows = [
            f"3 web {number} {name} {one.address} 2 {one.admin} {one.weight} 1 5 6 3 4 6 0 0 0 - 8000 - 0 0"
            for number, (name, one) in enumerate(self.servers.items(), 1)
        ]
        return "\n".join(["1", HEADER, *rows, "", ""])

    def _stat(self) -> str:
        rows = ["# pxname,svname,qcur,qmax,scur,smax,status,check_status,last_chk,"]
        for name, one in self.servers.items():
            now = one.sessions.pop(0) if len(one.sessions) > 1 else one.sessions[0]
            rows.append(f'web,{name},0,0,{now},9,{one.status},L7OK,"OK, really",')
        return "\n".join([*rows, "web,BACKEND,0,0,99,9,UP,,,", "", ""])


@contextlib.contextmanager
def listening(path: Path, answers: RuntimeSocket) -> Iterator[str]:
    """The path of a socket behind which it answers, one command for a connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                command = b""
                while not command.endswith(b"\n"):
                    command += connection.recv(4096)
                if command == b"stop\n":
                    return
                connection.sendall(answers.answer(command.decode().strip()).encode())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(path)
    finally:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(path))
            last.sendall(b"stop\n")
        thread.join()
        listener.close()
