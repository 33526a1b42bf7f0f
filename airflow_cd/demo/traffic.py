"""Real requests to the fleet's shops, through their routers, from a process of its own.

``python -m airflow_cd.demo.traffic --fleet DIR/fleet.json --environment production --rate 40``

Visitors do everything a visitor can do; some of it is rare. A deck of 40 requests holds each kind as often as it is
asked for. The router deals requests to its instances in turn, so every turn has a deck of its own: all instances get
the same mixture, and each kind comes back to each instance every 40 requests (10 s at 40 requests a second over ten
instances). The decks of neighbouring turns are shifted by the golden section, which keeps what two instances see of a
rare kind far apart in time, however many they are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from airflow_cd.demo.server_process import ServerProcess, launch
from airflow_cd.demo.shop.stock import PRODUCTS
from airflow_cd.errors import AirflowCdError

DEFAULT_RATES: Mapping[str, float] = {"production": 40.0}
GOLDEN_SECTION = 0.618034
MOST_IN_FLIGHT = 200
REQUEST_SECONDS = 10.0
REPORT_SECONDS = 1.0

DECK: Mapping[str, int] = {
    "home": 6,
    "catalogue": 6,
    "product": 8,
    "product without picture": 1,
    "search": 4,
    "search with a typing error": 1,
    "basket": 3,
    "checkout": 2,
    "checkout with an empty card": 1,
    "shipping": 1,
    "shipping to the islands": 1,
    "login": 1,
    "newsletter": 1,
    "gift card": 1,
    "return": 1,
    "wish list": 1,
    "admin export": 1,
}
"""How often each kind of request is among 40."""


@dataclass(frozen=True)
class Visit:
    """One request a visitor makes."""

    kind: str
    method: str
    path: str
    form: dict[str, Any] | None = None


def visit(kind: str, chance: random.Random) -> Visit:
    """A request of a kind, with what varies from visitor to visitor drawn by chance.

    :raises KeyError: for a kind that is not in :data:`DECK`.
    """
    product = chance.choice([number for number in PRODUCTS if number != "poster-009"])
    word = chance.choice(["chair", "lamp", "oak", "glass", "rug"])
    card = f"4111{chance.randrange(10**11, 10**12)}"
    posted: dict[str, tuple[str, dict[str, Any]]] = {
        "basket": ("/basket", {"product": product, "pieces": chance.randint(1, 3)}),
        "checkout": ("/checkout", {"product": product, "card": card}),
        "checkout with an empty card": ("/checkout", {"product": product, "card": "4000000000000002"}),
        "login": ("/login", {"customer": f"customer-{chance.randrange(10**4)}"}),
        "newsletter": ("/newsletter", {"address": f"reader-{chance.randrange(10**4)}@example.org"}),
        "gift card": ("/gift-card", {"amount": f"{chance.choice([10, 25, 50, 100])},00"}),
        "return": ("/return", {"reason": "changed_mind"}),
    }
    if kind in posted:
        path, form = posted[kind]
        return Visit(kind, "POST", path, form)
    paths = {
        "home": "/",
        "catalogue": "/catalogue",
        "product": f"/product/{product}",
        "product without picture": "/product/poster-009",
        "search": f"/search?q={word}",
        "search with a typing error": f"/search?q=%22{word}",
        "shipping": f"/shipping?postcode={chance.randrange(10000, 99999)}",
        "shipping to the islands": f"/shipping?postcode=IS{chance.randrange(100, 999)}",
        "wish list": "/wish-list",
        "admin export": "/admin/export",
    }
    return Visit(kind, "GET", paths[kind])


def visits(instances: int, seed: str = "shop") -> Iterator[Visit]:
    """Requests without end; those whose position has the same remainder by ``instances`` share a deck.

    :param instances: how many instances the router deals to.
    """
    chance = random.Random(seed)  # noqa: S311
    kinds = [kind for kind, times in DECK.items() for _ in range(times)]
    chance.shuffle(kinds)
    size = len(kinds)
    starts = [int(turn * GOLDEN_SECTION * size) for turn in range(instances)]
    position = 0
    while True:
        for start in starts:
            yield visit(kinds[(position + start) % size], chance)
        position += 1


@dataclass
class Tally:
    """What became of the requests to an environment."""

    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    skipped: int = 0

    def describe(self) -> dict[str, Any]:
        """The tally as JSON values: ``errors`` had no answer, ``skipped`` were not sent because too many waited."""
        return {
            "requests": self.requests,
            "statuses": dict(self.statuses),
            "errors": dict(self.errors),
            "skipped": self.skipped,
        }


async def drive(url: str, rate: float, instances: int, tally: Tally, session: aiohttp.ClientSession, seed: str) -> None:
    """Send requests at an even pace until cancelled, whatever the answers are.

    :param url: of the router.
    :param rate: requests a second.
    """
    waiting: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    try:
        for wanted in visits(instances, seed):
            # After a pause of the machine it continues at its pace, without making up for lost requests.
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if len(waiting) >= MOST_IN_FLIGHT:
                tally.skipped += 1
                continue
            task = asyncio.create_task(_send(url, wanted, tally, session))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
    finally:
        if waiting:
            await asyncio.wait(waiting, timeout=1.0)


async def _send(url: str, wanted: Visit, tally: Tally, session: aiohttp.ClientSession) -> None:
    tally.requests += 1
    try:
        async with session.request(wanted.method, url + wanted.path, json=wanted.form) as answer:
            await answer.read()
            tally.statuses[str(answer.status)] += 1
    except (aiohttp.ClientError, asyncio.TimeoutError) as error:
        tally.errors[type(error).__name__] += 1


async def run(
    info: Mapping[str, Any],
    rates: Mapping[str, float],
    *,
    seed: str = "shop",
    report: Path,
    ready_file: Path | None = None,
    parent: int | None = None,
) -> None:
    """Drive environments until SIGTERM, SIGINT or the parent's death.

    :param info: what ``fleet.json`` holds.
    :param rates: requests a second for each environment.
    :param report: rewritten every second with the tallies, by environment.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tallies = {name: Tally() for name in rates}
    limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
    async with aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar()) as session:
        drivers = [
            asyncio.create_task(
                drive(info["routers"][name], rate, info["environments"][name], tallies[name], session, f"{seed}/{name}")
            )
            for name, rate in rates.items()
        ]
        _report(report, tallies)
        if ready_file is not None:
            _write(ready_file, {"pid": os.getpid(), "report": str(report)})
        while not stop.is_set() and (parent is None or os.getppid() == parent):
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), REPORT_SECONDS / 2)
            _report(report, tallies)
        for driver in drivers:
            driver.cancel()
        await asyncio.gather(*drivers, return_exceptions=True)
    _report(report, tallies)


def _report(report: Path, tallies: Mapping[str, Tally]) -> None:
    _write(report, {name: tally.describe() for name, tally in tallies.items()})


def _write(file: Path, content: dict[str, Any]) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(file)


class TrafficProcess(ServerProcess):
    """Running traffic; a context manager that stops it."""

    def report(self) -> dict[str, dict[str, Any]]:
        """What became of the requests, by environment, a second old at most; final once it is stopped.

        Each has ``requests``, ``statuses`` (how often which), ``errors`` (requests without an answer) and ``skipped``.
        """
        tallies: dict[str, dict[str, Any]] = json.loads(Path(self.info["report"]).read_text(encoding="utf-8"))
        return tallies


def start(fleet: Path, *, rates: Mapping[str, float] | None = None, seed: str = "shop") -> TrafficProcess:
    """Start traffic and wait until it flows.

    :param fleet: the ``fleet.json`` of a running fleet.
    :param rates: requests a second for each environment; :data:`DEFAULT_RATES` when None.
    :param seed: the same seed sends the same requests in the same order.
    :raises AirflowCdError: when it does not start.
    """
    wanted = json.dumps(dict(DEFAULT_RATES if rates is None else rates))
    arguments = ["--fleet", str(fleet), "--rates", wanted, "--seed", seed]
    return launch(TrafficProcess, "airflow_cd.demo.traffic", arguments)


def read_fleet(file: Path, rates: Mapping[str, float]) -> dict[str, Any]:
    """Read ``fleet.json``.

    :param file: its path.
    :param rates: requests a second for each environment.
    :raises AirflowCdError: it cannot be read, or the fleet lacks one of the environments.
    """
    try:
        info: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AirflowCdError(
            f"{file} does not describe a running fleet: {error}.", next_step="Start the fleet first."
        ) from error
    unknown = sorted(set(rates) - set(info["routers"]))
    if unknown:
        raise AirflowCdError(
            f"the fleet has no environment {', '.join(unknown)}.", next_step=f"It has {', '.join(info['routers'])}."
        )
    return info


def parse_rates(text: str) -> dict[str, float]:
    """Read ``{"production": 40, ...}``, requests a second."""
    rates = json.loads(text)
    if not isinstance(rates, dict) or not all(isinstance(rate, (int, float)) and rate > 0 for rate in rates.values()):
        raise argparse.ArgumentTypeError('write rates as {"environment": requests a second, ...}')
    return rates


def main() -> None:
    """Parse the command line and send requests."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_cd.demo.traffic", description="Send requests to the fleet."
    )
    parser.add_argument("--fleet", required=True, type=Path, help="the fleet.json of a running fleet")
    parser.add_argument("--environment", default="production")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--rates", type=parse_rates, default=None, help="of several environments, as JSON")
    parser.add_argument("--seed", default="shop", help="the same seed sends the same requests")
    parser.add_argument("--report", type=Path, default=None, help="file for the tallies; beside fleet.json by default")
    parser.add_argument("--ready-file", type=Path, default=None, help="written when requests flow")
    parser.add_argument("--parent", type=int, default=None, help="stop when this process is gone")
    options = parser.parse_args()
    rates = options.rates or parse_rates(json.dumps({options.environment: options.rate}))
    report = (options.report or options.fleet.with_name(f"traffic-{os.getpid()}.json")).resolve()
    try:
        info = read_fleet(options.fleet, rates)
    except AirflowCdError as error:
        sys.exit(str(error))
    asyncio.run(
        run(info, rates, seed=options.seed, report=report, ready_file=options.ready_file, parent=options.parent)
    )


if __name__ == "__main__":
    main()
