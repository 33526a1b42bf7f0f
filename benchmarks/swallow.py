"""Is something new noticed under a header that is known? The failure of template miners that matters most.

    python -m benchmarks.swallow

Each case is a message the baseline holds with several values, and the same message with one that is news: a new class
of exception, a status that was never answered, a new error code. Every one must be flagged.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import EventKind
from benchmarks.peers import drain3, has_drain3

_LINES = 400  # of each known message
_CLASSES = ("java.io.IOException", "java.sql.SQLException", "IllegalStateException", "TimeoutError", "shop.StockError")
_NEW_CLASSES = ("java.lang.NullPointerException", "KeyError", "com.acme.LedgerException")
_HEADERS = (
    "ERROR request {n} failed: {v}: no answer",
    "WARN retry {n} of job j-{n} after {v}",
    "2026-11-23 08:00:00,123 ERROR [http-{n}] c.a.Cart - order {n}: {v}",
    'level=error msg="order failed" order={n} error={v}',
    '{{"level": "error", "message": "order {n} failed: {v}", "order": {n}}}',
)
_STATUSES = (
    "GET /basket/{n} {v} {n}ms",
    '10.0.0.{n} - - "GET /basket/{n} HTTP/1.1" {v} {n}',
    "POST /order/{n} -> {v} in {n} ms",
    "INFO answered status={v} in {n} ms",
    'INFO upstream said "status": {v}, "bytes": {n}',
    "INFO call {n} returned {v}",
)
_CODES = (
    ("ERROR payment {n} declined, error code {v}", ("E1001", "E1002"), "E2001"),
    ("WARN job {n} ended with exit code {v}", ("0", "1"), "137"),
    ("ERROR write of row {n}: SQLSTATE[{v}]", ("23505", "40001"), "42P01"),
    ("ERROR open of file {n}: errno={v}", ("2", "11"), "13"),
    ("WARN worker {n} got signal {v}", ("15", "1"), "11"),
    ("INFO feature {n} ready=true for {v}", ("all", "some"), "nobody"),
)


@dataclass(frozen=True)
class Case:
    """A message with the values that are known and one that is new."""

    message: str
    known: tuple[str, ...]
    new: str

    def baseline(self) -> list[str]:
        """What was logged before."""
        return [self._line(number, self.known[number % len(self.known)]) for number in range(1, _LINES)]

    def canary(self) -> list[str]:
        """The same again, and three times the news."""
        return [*self.baseline(), *(self._line(number, self.new) for number in (7, 77, 777))]

    def _line(self, number: int, value: str) -> str:
        return self.message.format(n=number, v=value)


def cases() -> list[Case]:
    """All of them."""
    return [
        *(Case(header, _CLASSES, new) for header in _HEADERS for new in _NEW_CLASSES),
        *(Case(message, ("200", "201"), new) for message in _STATUSES for new in ("500", "404")),
        *(Case(message, known, new) for message, known, new in _CODES),
    ]


def flagged(case: Case) -> bool:
    """Whether ours calls exactly the news unknown."""
    judged = judge_quality(LogProfile.of(case.canary()), None, [LogProfile.of(case.baseline())])
    unknown = [event for event in judged.events if event.kind is EventKind.UNKNOWN]
    return sum(event.counts["canary"] for event in unknown) == 3


def drain3_flags(case: Case, *, masks: bool) -> bool:
    """Whether Drain3 makes a cluster for it, or calls its cluster changed."""
    miner = drain3(masks=masks)
    for line in case.baseline():
        miner.add_log_message(line)
    return any(miner.add_log_message(line)["change_type"] != "none" for line in case.canary()[-3:])


def main() -> None:
    """Print what is missed, and the shares."""
    judges = {"ours": flagged}
    if has_drain3():
        judges["Drain3 defaults"] = lambda case: drain3_flags(case, masks=False)
        judges["Drain3 example masks"] = lambda case: drain3_flags(case, masks=True)
    for name, judge in judges.items():
        missed = [case for case in cases() if not judge(case)]
        print(f"{name:<24}{len(cases()) - len(missed)} of {len(cases())} flagged")
        for case in missed:
            print(f"    swallowed: {case.message.format(n=7, v=case.new)}")


if __name__ == "__main__":
    main()
