"""A server of ours that answers as Splunk's REST reference says: search jobs, their state, their results by pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.hooks.vendor_servers import Answer, Asked
from tests.sources.stores import Record, Store, form_of

RESULTS = 100  # where nobody asks for another number


@dataclass
class SplunkStore(Store):
    """Search jobs over records; times come with milliseconds and the zone of the user.

    :param messages: of each job.
    :param index: of all records.
    :param finalized: whether searches are ended early.
    """

    messages: list[dict[str, str]] = field(default_factory=list)
    index: str = "shop"
    finalized: bool = False
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    most: int = 200_000

    def respond(self, asked: Asked) -> Answer:
        if "authorization" not in asked.headers:
            return Answer(401, {"messages": [{"type": "WARN", "text": "call not properly authenticated"}]})
        parts = asked.path.removeprefix("/services/search/jobs").strip("/").split("/")
        if asked.method == "POST":
            return self._create(form_of(asked))
        job = self.jobs.get(parts[0])
        if job is None:
            return Answer(404, {"messages": [{"type": "FATAL", "text": "Unknown sid."}]})
        if asked.method == "DELETE":
            return Answer(200, {"messages": [self.jobs.pop(parts[0]) and {"type": "INFO", "text": "cancelled"}]})
        if parts[1:] == ["results"]:
            offset, count = int(asked.params.get("offset", 0)), int(asked.params.get("count", RESULTS))
            return Answer(body={"results": job["rows"][offset : offset + min(count, self.troubles.page)]})
        return Answer(body={"entry": [{"name": parts[0], "content": self._status(job)}]})

    def _create(self, form: dict[str, str]) -> Answer:
        query = form["search"]
        if query.startswith("| eventcount"):
            rows, reports = [{"index": self.index, "count": "1"}], True
        elif "(((" in query:
            return Answer(400, {"messages": [{"type": "FATAL", "text": "Unbalanced parentheses."}]})
        else:
            rows, reports = self._found(query, float(form["earliest_time"]), float(form["latest_time"]))
        sid = f"{1763870400 + len(self.jobs)}.{self.asked}"
        self.jobs[sid] = {"rows": rows[: int(form["max_count"])], "events": len(rows), "reports": reports, "polls": 0}
        return Answer(201, {"sid": sid})

    def _found(self, query: str, begin: float, end: float) -> tuple[list[dict[str, Any]], bool]:
        named = re.search(r"index=(\w+)", query)
        there = self.visible() if named is None or named[1] == self.index else []
        found = [one for one in there if begin <= one.time.timestamp() < end]
        if "| tstats" in query:
            newest = {"newest": f"{max(one.time.timestamp() for one in found):.3f}"} if found else {}
            return [{"index": self.index, "count": str(len(found)), **newest}], True
        if "| stats count by" in query:
            return [{"host": name, "count": "1"} for name in sorted({one.host for one in found})], True
        hosts = re.findall(r'"(.*?)"', query.partition(" IN (")[2].partition(")")[0])
        mine = sorted((one for one in found if one.host in hosts), key=lambda one: (one.time, one.id), reverse=True)
        return [self._event(one) for one in mine], False

    def _event(self, one: Record) -> dict[str, Any]:
        local = one.time.astimezone(timezone(timedelta(hours=-8)))
        received = one.time + timedelta(seconds=self.troubles.lag)
        return {
            "_time": local.isoformat(timespec="milliseconds"),
            "_indextime": str(int(received.timestamp())),
            "_bkt": f"{self.index}~7~C0FFEE",
            "_cd": f"7:{one.id}",
            "_raw": one.message,
            "host": one.host,
        }

    def _status(self, job: dict[str, Any]) -> dict[str, Any]:
        job["polls"] += 1
        done = job["polls"] > self.polls
        return {
            "dispatchState": "DONE" if done else ("QUEUED", "PARSING", "RUNNING", "FINALIZING")[job["polls"] % 4],
            "isDone": done,
            "isFailed": False,
            "isFinalized": self.finalized,
            "eventCount": job["events"],
            "resultCount": len(job["rows"]) if done else 0,
            "reportSearch": "stats count" if job["reports"] else "",
            "messages": self.messages,
        }

    polls: int = 0


def record(moment: datetime, text: str, host: str = "shop-1", identity: str = "1") -> Record:
    return Record(moment, host, text, identity)
