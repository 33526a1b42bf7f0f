"""What the shop sells, the database it keeps it in and the inventory service it asks for the stock."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Product:
    """Something the shop sells; the price is in euros."""

    number: str
    name: str
    price: Decimal


PRODUCTS = {
    product.number: product
    for product in (
        Product("chair-017", "Oak chair", Decimal("129.90")),
        Product("table-003", "Round table", Decimal("349.00")),
        Product("lamp-021", "Reading lamp", Decimal("59.90")),
        Product("shelf-044", "Book shelf", Decimal("189.00")),
        Product("poster-009", "City map, framed", Decimal("24.50")),
        Product("rug-012", "Woollen rug", Decimal("219.00")),
        Product("vase-030", "Glass vase", Decimal("34.90")),
        Product("sofa-001", "Two-seater", Decimal("899.00")),
    )
}


class Database:
    """The shop's database as its callers feel it: every round trip takes its time.

    :param seed: makes an instance's round trips repeatable.
    :param typical: seconds of a usual round trip; they spread from 80 % to 120 %, and one in fifty takes twice as long.
    """

    def __init__(self, seed: str, typical: float = 0.004) -> None:
        self._chance = random.Random(seed)  # noqa: S311
        self.typical = typical

    def ask(self, round_trips: int = 1) -> None:
        """Wait for the answers to that many queries, one after the other."""
        for _ in range(round_trips):
            self.wait(self.typical)

    def wait(self, typical: float) -> None:
        """Wait about as long as typical, in seconds."""
        slow = 2.0 if self._chance.random() < 0.02 else 1.0
        time.sleep(typical * slow * (0.8 + 0.4 * self._chance.random()))

    def number(self, digits: int = 5) -> int:
        """The next order, parcel or return number."""
        return self._chance.randrange(10 ** (digits - 1), 10**digits)


class Inventory:
    """Client of the inventory service, over a socket and with a time-out.

    The service runs in the same process and needs about 3 ms for an answer, so a time-out that is set too short
    really expires.

    :param timeout: seconds to wait for an answer.
    """

    def __init__(self, database: Database, timeout: float) -> None:
        self._database = database
        self._timeout = timeout
        self._service = ThreadPoolExecutor(max_workers=8, thread_name_prefix="inventory")

    def stock(self, product: str) -> int:
        """How many are left; raises :class:`TimeoutError` when the service does not answer in time."""
        client, server = socket.socketpair()
        with client:
            self._service.submit(self._answer, server)
            client.settimeout(self._timeout)
            client.sendall(json.dumps({"product": product}).encode())
            return int(json.loads(client.recv(1024))["stock"])

    def _answer(self, connection: socket.socket) -> None:
        # The client may be gone by the time the answer is there.
        with connection, contextlib.suppress(OSError):
            product = json.loads(connection.recv(1024))["product"]
            self._database.wait(0.003)
            connection.sendall(json.dumps({"stock": sum(product.encode()) % 40 + 3}).encode())
