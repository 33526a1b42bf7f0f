"""People who ask a service for something all the time."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

PEOPLE = 5


@contextmanager
def visiting(
    url: str, asked: Callable[[int], tuple[str, str, bytes | None]], *, before: int = 0
) -> Iterator[Counter[int]]:
    """How often which status was answered so far, 0 for no answer.

    :param url: of the service.
    :param asked: by the number of a request its method, path and content.
    :param before: how many have been answered when it begins: what a deployment is held against.
    """
    seen: Counter[int] = Counter()
    over, turn, answers = threading.Event(), itertools.count(), threading.Semaphore(0)

    def visit() -> None:
        # A connection for each request: one that is kept stays with one pod, wherever nothing but kube-proxy divides.
        headers = {"Content-Type": "application/json", "Connection": "close"}
        with httpx.Client(timeout=15, headers=headers) as client:
            while not over.is_set():
                method, path, content = asked(next(turn))
                try:
                    seen[client.request(method, f"{url}{path}", content=content).status_code] += 1
                except httpx.HTTPError:
                    seen[0] += 1
                answers.release()
                time.sleep(0.1)

    threads = [threading.Thread(target=visit) for _ in range(PEOPLE)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(before):
            assert answers.acquire(timeout=30), f"nothing is answered any more, after {seen}"
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
