"""Reading what HAProxy's runtime socket answers. It has no status: an error is a text like any other."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

OUT = 0x01 | 0x02 | 0x04 | 0x08 | 0x10
"""Bits of a server's administrative state that keep requests from it: maintenance or drain, set here or inherited."""


class BrokenAnswer(ValueError):
    """An answer that is none: an error of HAProxy's, or of another version's form."""


@dataclass(frozen=True)
class Server:
    """A server of a backend, as one HAProxy process has it now.

    :param name: its name.
    :param address: where requests go.
    :param port: the port there.
    :param out: whether it is kept out of the traffic, by its state or by weight 0.
    :param weight: its weight now.
    :param first_weight: the weight that the file gives it.
    """

    name: str
    address: str
    port: int
    out: bool
    weight: int
    first_weight: int


@dataclass(frozen=True)
class Load:
    """What goes on at a server.

    :param sessions: sessions that it has now, and those that wait for it.
    :param status: as HAProxy says it: ``UP``, ``DOWN``, ``MAINT``, ``no check``.
    :param check: what its last check said.
    """

    sessions: int
    status: str
    check: str


def read_servers(answer: str, backend: str) -> dict[str, Server]:
    """Read ``show servers state``.

    :param answer: what the socket said.
    :param backend: name of the backend that it was asked about.
    :raises BrokenAnswer: it is something else; the text is what HAProxy said.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("# be_id")), None)
    if header is None:
        raise BrokenAnswer(" ".join(answer.split()) or "nothing")
    names = header[1:].split()
    found = {}
    for line in lines[lines.index(header) + 1 :]:
        row = dict(zip(names, line.split(), strict=False))
        if row.get("be_name") != backend:
            continue
        try:
            weight = int(row["srv_uweight"])
            found[row["srv_name"]] = Server(
                name=row["srv_name"],
                address=row["srv_addr"],
                port=int(row["srv_port"]),
                out=bool(int(row["srv_admin_state"]) & OUT) or weight == 0,
                weight=weight,
                first_weight=int(row["srv_iweight"]),
            )
        except (KeyError, ValueError) as error:
            raise BrokenAnswer(f"a line that cannot be read: {line}") from error
    return found


def read_load(answer: str, backend: str) -> dict[str, Load]:
    """Read ``show stat``.

    :param answer: what the socket said.
    :param backend: name of the backend.
    :raises BrokenAnswer: it is something else; the text is what HAProxy said.
    """
    if not answer.startswith("# pxname"):
        raise BrokenAnswer(" ".join(answer.split())[:200] or "nothing")
    found = {}
    for row in csv.DictReader(io.StringIO(answer[2:])):
        if row["pxname"] != backend or row["svname"] in ("BACKEND", "FRONTEND"):
            continue
        check = " ".join(text for text in (row.get("check_status"), row.get("last_chk")) if text)
        sessions = int(row["scur"] or 0) + int(row["qcur"] or 0)
        found[row["svname"]] = Load(sessions, row["status"] or "", check)
    return found
