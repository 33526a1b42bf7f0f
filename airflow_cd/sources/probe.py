"""A probe: requests of one's own to every instance, and whether the answers are what they must be."""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.buckets import Buckets, utc_now
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import Metric, MetricSample, Window

if TYPE_CHECKING:
    from airflow_cd.sources.probing import Seen

_PLACE = "{instance}"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_AT_ONCE = 8
_KEPT = 20_000


@keeps_misspelt_keywords
@dataclass(frozen=True)
class HttpProbe:
    """Asks every instance the same question, at every look of a verification, and holds the answers against assertions.

    It measures how many answers were not as they must be (``NAME failures``) and how long they took
    (``NAME response time``). An instance that cannot be reached, or takes longer than ``within``, has failed. Redirects
    are answers too, and not followed. What was found is known to this process alone: it starts again with it.

    :param url: where an instance is asked, with ``{instance}`` in the place of its name:
        ``http://{instance}:8080/checkout?sku=1``.
    :param name: what reports call the source, and what its metrics begin with; ``Probe <path>`` by default.
    :param status: the status code that an answer must have, or several; 200 by default.
    :param contains: a text that it must hold; any by default.
    :param matches: a regular expression that it must hold a match of; any by default.
    :param json: values that it must have as JSON, by their place: ``{"status": "up", "checks.0.ok": True}``.
    :param within: how long an answer may take, 5 seconds by default.
    :param method: of the request; ``GET`` by default. Sent to production again and again: it must be harmless.
    :param body: sent as JSON; none by default.
    :param headers: of the request; no secrets, which belong into the connection.
    :param addresses: by the name of an instance what stands in its place, such as ``10.0.0.7``; the name by default.
    :param conn_id: Airflow connection of type ``http`` whose login and password, or password alone as bearer token, and
        ``headers`` of the extra are sent along; none by default. Its host is not used, its ``verify`` is.
    :param every: how often an instance is asked at most; 2 seconds by default. It is no more often than a verification
        looks.
    :param bucket: width of a bucket; 10 seconds by default.
    """

    url: str
    name: str = ""
    status: int | Sequence[int] = 200
    contains: str = ""
    matches: str = ""
    json: Mapping[str, Any] = field(default_factory=dict)
    within: DurationField = DurationField("5s")  # noqa: RUF009 - a descriptor
    method: str = "GET"
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    conn_id: str = ""
    every: DurationField = DurationField("2s")  # noqa: RUF009 - a descriptor
    bucket: DurationField = DurationField("10s")  # noqa: RUF009 - a descriptor

    delay: ClassVar[timedelta] = timedelta(0)
    whole_buckets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Probe {urlsplit(str(self.url)).path or '/'}")

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        """What it measures: failures among the answers, and the time that they took."""
        return (
            Metric(f"{self.name} failures", "errors", unit="answers"),
            Metric(f"{self.name} response time", "latency", unit="ms"),
        )

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(url=self.url, name=self.name)]
        found += mistakes_of_durations(within=self.within, every=self.every, bucket=self.bucket)
        found += self._wrong_url()
        if str(self.method).upper() not in _METHODS:
            found.append(f"method: {self.method!r} is none of {', '.join(_METHODS)}")
        codes = self.status if isinstance(self.status, (list, tuple, set, frozenset)) else [self.status]
        if not codes or not all(isinstance(one, int) and 100 <= one <= 599 for one in codes):
            found.append(f"status: {self.status!r} is no status code, and no list of some")
        try:
            re.compile(self.matches)
        except (re.error, TypeError) as error:
            found.append(f"matches: {self.matches!r} is not a regular expression: {error}")
        for name in ("json", "headers", "addresses"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or not all(isinstance(key, str) and key for key in given):
                found.append(f"{name}: {given!r} does not go from names to values")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    def _wrong_url(self) -> Iterator[str]:
        if not isinstance(self.url, str) or not self.url:
            return
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            yield f"url: {self.url!r} is not the URL of an instance, http://{_PLACE}:8080/health"
        elif "@" in parts.netloc:
            yield "url: credentials belong into a connection (conn_id=)"
        if _PLACE not in self.url:
            yield f"url: {_PLACE} is missing: whose answer would it be?"

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Ask the instances, and return what was found in a window so far.

        :param window: half-open, aware; what was not asked then is not known.
        :param instances: their names, in any order; each counts once.
        :raises SourceQueryRejected: this specification is wrong, or a name cannot stand in the URL.
        :raises SourceError: the connection is missing or wrong.
        """
        from airflow_cd.sources.frames import spread_metric_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        results = self._results()
        warnings = []
        if names and window.length:
            warnings = self._ask(results, names)
        buckets = Buckets.of(window, self.bucket, utc_now())
        rows = list(self._rows(results, buckets, names)) if buckets.number else []
        warnings += sorted({f"{one.instance}: {one.wrong}." for one in results.within(buckets, names) if one.wrong})
        query = f"{self.method.upper()} {self.url} of {', '.join(names) or 'no instance'}"
        return MetricSample(spread_metric_frame(rows), self.metrics, query, buckets.width, tuple(warnings))

    def examined(self, instances: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """Ask every instance once, and say what it answered; for ``airflow-cd source check``.

        :param instances: their names.
        :returns: a sentence for each, and whether something is not as it must be.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.sources.probing import Probing

        refuse(self.mistakes())
        probing = Probing.of(self)
        for name in sorted(set(instances)):
            url = self._url(name)
            if not probing.is_known(url):
                yield self._unknown(name, url), True
                continue
            seen = probing.ask(name, url)
            took = f" in {seen.milliseconds:.0f} ms" if seen.milliseconds is not None else ""
            yield f"{name}: {seen.wrong or 'as it must be'}{took}.", bool(seen.wrong)

    def _results(self) -> _Results:
        with _lock:
            return _results.setdefault(repr(self), _Results())

    def _ask(self, results: _Results, names: Sequence[str]) -> list[str]:
        """Ask those whose turn it is, all at once; returns what keeps some from being asked at all."""
        from airflow_cd.sources.probing import Probing

        probing = Probing.of(self)
        urls = {name: self._url(name) for name in names}
        with results.asking:
            due = [name for name in names if results.is_due(name, self.every.total_seconds())]
            unknown = [name for name in due if not probing.is_known(urls[name])]
            asked = [name for name in due if name not in unknown]
            if asked:
                with ThreadPoolExecutor(min(_AT_ONCE, len(asked)), thread_name_prefix="probe") as pool:
                    results.add(pool.map(lambda name: probing.ask(name, urls[name]), asked))
        return [self._unknown(name, urls[name]) for name in unknown]

    def _unknown(self, name: str, url: str) -> str:
        return f"{name}: no address is known of {urlsplit(url).hostname}, so it is not asked: give addresses."

    def _url(self, name: str) -> str:
        address = str(self.addresses.get(name, name))
        authority = urlsplit(self.url).netloc
        if _PLACE in authority and not re.fullmatch(r"[\w.\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", address):
            raise SourceQueryRejected(
                f"{self.name}: the instance {name!r} cannot be asked at {self.url}: {address!r} is no host.",
                next_step="Give its address: addresses={...}.",
            )
        head, _, rest = self.url.partition(authority)
        return head + authority.replace(_PLACE, address) + rest.replace(_PLACE, quote(address, safe=""))

    def _rows(
        self, results: _Results, buckets: Buckets, names: Sequence[str]
    ) -> Iterator[tuple[datetime, str, str, str, float, int, float]]:
        failures, took = (metric.name for metric in self.metrics)
        found: dict[tuple[int, str], list[Seen]] = {}
        for one in results.within(buckets, names):
            found.setdefault(((one.at - buckets.first) // buckets.width, one.instance), []).append(one)
        for (number, instance), answers in found.items():
            start, count = buckets.start(number), len(answers)
            yield start, instance, failures, "", float(sum(bool(one.wrong) for one in answers)), count, float("nan")
            times = [one.milliseconds for one in answers if one.milliseconds is not None]
            if times:
                deviation = statistics.stdev(times) if len(times) > 1 else float("nan")
                yield start, instance, took, "", statistics.fmean(times), len(times), deviation


class _Results:
    """What one probe has found in this process, the newest of it."""

    def __init__(self) -> None:
        self.asking = threading.Lock()
        self._seen: deque[Seen] = deque(maxlen=_KEPT)
        self._asked: dict[str, float] = {}

    def is_due(self, name: str, every: float) -> bool:
        """Whether it is an instance's turn; then it is taken for asked."""
        now = time.monotonic()
        if now - self._asked.get(name, -every) < every:
            return False
        self._asked[name] = now
        return True

    def add(self, seen: Iterator[Seen]) -> None:
        """Keep what was found."""
        self._seen.extend(seen)

    def within(self, buckets: Buckets, names: Sequence[str]) -> list[Seen]:
        """What was found of these instances in these buckets."""
        return [one for one in list(self._seen) if one.instance in names and buckets.first <= one.at < buckets.until]


_results: dict[str, _Results] = {}
_lock = threading.Lock()
