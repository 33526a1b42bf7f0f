"""What is read from JSON that others send or keep: vendors' answers, hand-overs, runs' configurations, evidence."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from airflow_cd.commits.record import Commits
from airflow_cd.delivery.handover import Handover
from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks import deployment_answers
from airflow_cd.hooks.new_relic import NewRelicHook
from airflow_cd.hooks.sumo_logic import SumoLogicHook
from airflow_cd.http.endpoint import Endpoint, message_of
from airflow_cd.http.exchange import Answer
from airflow_cd.http.family import SOURCE
from airflow_cd.http.retry import TryAgain
from airflow_cd.plan import Plan, unknown_parameters
from airflow_cd.plugin.audit.manual_actions import manual_actions_in
from airflow_cd.plugin.audit.triggers import run_in
from airflow_cd.release import Release
from airflow_cd.report.page import render_report
from airflow_cd.report.report import Report
from airflow_cd.secret_values.detection import mistakes
from airflow_cd.sources import new_relic as new_relic_source
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import Window
from airflow_cd.verification.verdict import Judgement
from tests.attacks.fuzz.trial import Reader

ENDPOINT = Endpoint("Vendor", "vendor", "https://vendor.example", SOURCE)
WINDOW = Window(datetime(2026, 11, 28, 8, tzinfo=timezone.utc), datetime(2026, 11, 28, 9, tzinfo=timezone.utc))
RELEASE = Release("shop", "1.0", "shop:1.0", {"limit": 5}).as_dict()


class Wire:
    """Stands in for the HTTP client: every request is answered with the same content, a few times.

    :param contents: by part of a path; ``""`` for any other.
    """

    endpoint, remaining, base_url = ENDPOINT, 1.0, ENDPOINT.base_url

    def __init__(self, contents: Mapping[str, Any]) -> None:
        self._contents, self._left = contents, 12
        self.session = SimpleNamespace(cookies={})

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None: ...

    def sleep(self, seconds: float) -> None: ...

    def once(self, request: Any, *, timeout: float) -> None: ...

    def json(self, request: Any, *, repeatable: bool = True, judge: Callable[[Answer], None] | None = None) -> Any:
        """The content, as it would have come; the time is over at some point."""
        self._left -= 1
        if self._left < 0:
            raise SourceUnavailable("the time is over.")
        content = next(content for part, content in self._contents.items() if part in request.path)
        answer = Answer(200, "OK", {}, json.dumps(content).encode("utf-8", "surrogatepass"))
        try:
            if judge is not None:
                judge(answer)
        except TryAgain as again:
            raise again.error from again
        return answer.json


def _deployment_api(content: Any) -> None:
    message_of(content)
    deployment_answers.error_code(content)
    deployment_answers.read_instances(content, "production")
    deployment_answers.require_names(content, "instances", ["a"])


def _traffic(content: Any) -> None:
    deployment_answers.read_traffic(content)


class _NewRelic(NewRelicHook):
    account_id = 7  # type: ignore[assignment]

    def __init__(self, content: Any) -> None:
        self.conn_id, self._sleep = "vendor", lambda _: None
        self._wire = Wire({"": content})
        self._connection = SimpleNamespace(seconds=lambda name, default: default)  # type: ignore[assignment]

    def get_conn(self, *, longest: float = 0.0) -> Any:
        return self._wire


def _new_relic(content: Any) -> None:
    source = new_relic_source.NewRelicMetrics("shop")
    for row in _NewRelic(content).query("SELECT 1").results:
        new_relic_source._place(row, source)
        count, measured = source._values(row)
        for section in new_relic_source.nrql.sections(WINDOW, source.bucket):
            list(new_relic_source._rows(row, ("a", ""), section, count, measured))


def _new_relic_entities(content: Any) -> None:
    _NewRelic(content).resolve_entity("shop")
    _NewRelic(content).mark_deployment(version="1", entity_guid="x")


class _Sumo(SumoLogicHook):
    def __init__(self, content: Any) -> None:
        self.conn_id, self._sleep, self._moved_to = "vendor", lambda _: None, None
        parts = content if isinstance(content, dict) else {}
        page = parts.get("page", content)
        self._wire = Wire({"/messages": page, "/records": page, "/1": parts.get("status", content), "": {"id": "1"}})

    def get_conn(self) -> Any:
        return self._wire


def _sumo_logic(content: Any) -> None:
    _Sumo(content).search("error", WINDOW.since, WINDOW.until)
    _Sumo(content).records("error | count", WINDOW.since, WINDOW.until)


def _report(content: Any) -> None:
    render_report(Report.from_dict(content))


def _packed(kind: Any, magic: bytes, version: int) -> Callable[[Any], None]:
    def read(content: Any) -> None:
        packed = zlib.compress(json.dumps(content).encode("utf-8", "surrogatepass"), 1)
        kind.from_bytes(magic + bytes([version]) + packed)

    return read


def _stored(profile: bytes, magic: int) -> Any:
    return json.loads(zlib.decompress(profile[magic + 1 :]))


def _requests(content: Any) -> None:
    for method, path in (
        ("PATCH", "/api/v2/dags/a/dagRuns/b/taskInstances"),
        ("PATCH", "/api/v2/dags/a/dagRuns/b/taskInstances/c"),
        ("PATCH", "/api/v2/dags/a/dagRuns/b/taskInstances/c/-1/hitlDetails"),
        ("PATCH", "/api/v2/dags/a/dagRuns"),
        ("POST", "/api/v2/dags/a/clearTaskInstances"),
        ("POST", "/api/v2/dags/a/clearDagRuns"),
    ):
        list(manual_actions_in(method, path, content))


def _run(content: Any) -> None:
    run = run_in("POST", "/api/v2/dags/a/dagRuns", content)
    if run is not None:
        unknown_parameters(list(run.parameters), ["version", "configuration", "reason"])
        list(mistakes(dict(run.parameters), "a"))


def _plan(content: Any) -> None:
    if isinstance(content, dict):
        Plan({"stages": [{"environment": "dev"}]}).differences(content)


INSTANCE = {
    "name": "web-1", "version": "1.0", "artifact": "shop:1.0", "configuration": {"a": 1}, "health": "healthy",
    "drained": False, "message": "", "started": "2026-11-28T08:00:00Z",
}  # fmt: skip
NRQL_ROW = {
    "facet": ["web-1", "pay"], "host": "web-1", "name": "pay", "requests": 3, "mean": 0.2, "errors": 1,
    "deviation": 0.1,
    "apdex": {"score": 0.9}, "p95": {"95": 0.4}, "beginTimeSeconds": 1795852800, "endTimeSeconds": 1795852860,
}  # fmt: skip
JUDGEMENT = {
    "version": 1, "verdict": "FAIL", "reasons": [{"code": "new", "text": "x", "numbers": {"a": 1.0}}],
    "performance": {"verdict": "PASS", "reasons": [], "metrics": []},
    "quality": {"verdict": "FAIL", "reasons": [], "events": [], "records": {"canary": 3}},
    "lags": {}, "canary": ["a"], "control": [],
}  # fmt: skip
SEEN = {"since": "2026-11-28T08:00:00+00:00"}
READERS: Sequence[Reader] = (
    Reader(
        "deployment API", _deployment_api, ("name", "health", "healthy", "instances", "error", "code"),
        ({"environment": "production", "instances": [INSTANCE]}, {"error": {"code": "x", "message": "y"}}),
        allowed=(deployment_answers.BrokenAnswer,),
    ),
    Reader(
        "traffic", _traffic, ("name", "last_request", "in_flight"),
        ({"instances": [{"name": "a", "last_request": 1795852800.5, "in_flight": 2}]},),
        allowed=(deployment_answers.BrokenAnswer,),
    ),
    Reader(
        "New Relic", _new_relic, ("results", "facet", "errors", "message", "queryProgress", "completed", "queryId"),
        (
            {"data": {"actor": {"account": {"nrql": {
                "results": [NRQL_ROW], "totalResult": None, "metadata": {"messages": ["x"]},
                "queryProgress": {"queryId": "q", "completed": True, "retryAfter": 1}}}}}},
            {"errors": [{"message": "x", "extensions": {"errorClass": "TIMEOUT"}}], "data": None},
        ),
    ),
    Reader(
        "New Relic entities", _new_relic_entities, ("entities", "guid", "name", "messages"),
        ({"data": {"actor": {"entitySearch": {"results": {"entities": [{"guid": "g", "name": "shop"}]}}},
                   "changeTrackingCreateEvent": {"changeTrackingEvent": {"changeTrackingId": "i"}, "messages": []}}},),
    ),
    Reader(
        "Sumo Logic", _sumo_logic, ("state", "DONE GATHERING RESULTS", "messageCount", "map", "_messagetime",
        "messages"),
        ({"status": {"state": "DONE GATHERING RESULTS", "messageCount": 2, "recordCount": 1, "pendingErrors": [],
                     "pendingWarnings": ["w"]},
          "page": {"messages": [{"map": {"_messageid": "1", "_messagetime": "1795852800000", "_raw": "x"}}],
                   "records": [{"map": {"_count": "1"}}], "warning": ""}},),
    ),
    Reader(
        "handover", Handover.from_dict, ("token", "touched", "previous", "web-1"),
        ({"deployment_id": "d", "release": RELEASE, "previous": {"web-1": RELEASE, "web-2": None},
          "touched": ["web-1"], "token": 3},),
    ),
    Reader("release", Release.from_dict, tuple(RELEASE), (RELEASE,)),
    Reader(
        "commits", Commits.from_dict, ("before", "brought", "commits"),
        ({"before": "1", "after": "2", "brought": {"commits": [{"id": "a", "author": "b", "at": None, "subject": "s",
          "page": ""}], "total": 1}, "taken_away": {"commits": [], "total": 0}, "unknown": ""},),
    ),
    Reader("judgement", Judgement.from_dict, tuple(JUDGEMENT), (JUDGEMENT,)),
    Reader(
        "report", _report, ("judgement", "actions", "who", "when", "kind", *JUDGEMENT),
        ({"schema": 1, "service": "shop", "pipeline": "p", "run_id": "r", "environment": "e", "phase": "x",
          "judgement": JUDGEMENT, "release": {"service": "shop", "version": "1", "artifact": "a", "digest": "sha256:0"},
          "previous": [], "actions": [{"kind": "drain", "ok": True, "began": "2026-11-28T08:00:00+00:00"}],
          "clocks": {"to_safe": 1.0}, "outcome": {"state": "rolled_back", "text": "t"},
          "human": [{"who": "a", "action": "b", "when": None, "why": ""}]},),
    ),
    Reader(
        "log profile", _packed(LogProfile, LogProfile({}, 0, {}).to_bytes()[:-1][:4], 2), ("rows",),
        (_stored(LogProfile.of(["2026-11-28T08:00:00Z ERROR shop - lost 7"]).to_bytes(), 4),),
    ),
    Reader("Airflow's requests", _requests, ("actions", "entities", "task_id", "new_state", "success"), (
        {"actions": [{"action": "update", "entities": [{"task_id": "a", "dag_id": "~", "new_state": "success"}]}]},
        {"new_state": "success", "include_downstream": True, "note": "n"},
        {"dry_run": False, "task_ids": ["a", ["b", 1]], "dag_run_id": "r", "dag_runs": [{"dag_id": "a"}]},
        {"chosen_options": ["Approve"], "params_input": {"reason": "r"}},
    )),
    Reader("run", _run, ("conf", "version", "configuration", "password"), (
        {"conf": {"version": "1", "configuration": {"db": {"password": "secret:a/b"}}}, "dag_run_id": "r"},
    )),
    Reader("plan", _plan, ("stages", "phases"), ({"stages": [{"environment": "dev", "phases": [20, 100]}],
        "order": "x"},)),
)  # fmt: skip
