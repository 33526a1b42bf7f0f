"""Readers and parsers against inputs that somebody made to break them: only errors of ours, and no time beyond linear.

``AIRFLOW_CD_HOSTILE_INPUTS=1000000 pytest tests/attacks/test_hostile_inputs.py`` tries a million for each of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_cd.durations import parse_duration
from airflow_cd.errors import AirflowCdError
from airflow_cd.hooks.deployment_answers import BrokenAnswer, read_instances, read_traffic
from airflow_cd.hooks.nrql import is_balanced
from airflow_cd.hooks.sumo_logic import may_redirect
from airflow_cd.http.body import Body, TooLarge, Undecodable
from airflow_cd.http.endpoint import message_of
from airflow_cd.http.exchange import Answer
from airflow_cd.http.redaction import Redactor, shown_address, user_info_of
from airflow_cd.http.retry import parse_retry_after
from airflow_cd.plugin.audit.bodies import is_too_deep, why_refused
from airflow_cd.plugin.audit.manual_actions import manual_actions_in
from airflow_cd.release import planned_release
from airflow_cd.secret_values.detection import mistakes, suspicion
from airflow_cd.secret_values.sealing import Sealer
from airflow_cd.verification.files.metrics import read_metrics
from airflow_cd.verification.files.opening import InputFile, opened
from airflow_cd.verification.logs.counting import count_records
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.masking import mask_line
from airflow_cd.verification.logs.traces.joining import RecordJoiner
from airflow_cd.verification.verdict import Judgement

INPUTS = int(os.environ.get("AIRFLOW_CD_HOSTILE_INPUTS", "40"))
hostile = settings(max_examples=INPUTS, deadline=None, suppress_health_check=list(HealthCheck))

TEXT = st.text(st.characters(codec=None), max_size=400)  # lone surrogates and controls, too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=25,
)
PLACES = st.sampled_from(["a", "web-1", "", "production", "\x00", "x" * 300])
FIELDS = ("name", "version", "artifact", "configuration", "health", "drained", "message", "started")
INSTANCE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("name", "version", "artifact", "configuration", "health", "drained", "message", "started"), JSON | PLACES
    ),
)


@hostile
@given(st.fixed_dictionaries({}, optional={"environment": JSON, "instances": st.lists(INSTANCE, max_size=4) | JSON}))
def test_answers_of_a_deployment_api(content: dict[str, Any]) -> None:
    for read in (lambda answer: read_instances(answer, "production"), read_traffic):
        with contextlib.suppress(BrokenAnswer):
            read(content)


@hostile
@given(st.binary(max_size=600), st.sampled_from([None, "gzip", "deflate", "br", "gzip, gzip", "\xff"]))
def test_bodies_of_answers(content: bytes, encoding: str | None) -> None:
    try:
        body = Body(encoding, 200)
        body.take(content)
        assert len(body.content()) <= 200
    except (TooLarge, Undecodable):
        pass
    answer = Answer(200, "", {}, content)
    assert answer.is_json in (True, False)
    assert isinstance(message_of(answer.json), str)


@hostile
@given(TEXT, TEXT, TEXT)
def test_texts_of_the_wire(first: str, second: str, third: str) -> None:
    seconds = parse_retry_after(first)
    assert seconds is None or seconds >= 0
    assert may_redirect("https://api.sumologic.com", f"https://{first}/{second}", [third]) in (True, False)
    assert isinstance(shown_address(first), str)
    assert isinstance(user_info_of(first), tuple)
    redact = Redactor([second, third])
    shown = redact.line(f"{first}{second}{first}{third}")
    assert "\n" not in shown
    if len(second.strip()) > 3 and second not in "***…" and second.isascii() and second.isalnum():
        assert second not in shown.replace("***", "") or second in first


@hostile
@given(JSON, st.sampled_from(["PATCH", "POST", "DELETE", "PUT", "GET"]), TEXT)
def test_requests_to_airflow(content: Any, method: str, name: str) -> None:
    for path in (f"/api/v2/dags/{name}/dagRuns", f"/api/v2/dags/a/dagRuns/b/taskInstances/{name}", f"/api/v2/{name}"):
        list(manual_actions_in(method, path, content))
    body = json.dumps(content).encode("utf-8", "surrogatepass")
    assert is_too_deep(body) is False
    assert why_refused("PATCH", "/api/v2/dags/a/dagRuns", body) == ""


@hostile
@given(st.dictionaries(TEXT, JSON, max_size=5), TEXT)
def test_configurations(configuration: dict[str, Any], overrides: str) -> None:
    list(mistakes(configuration, "a test"))
    for given_ in (overrides, configuration):
        with contextlib.suppress(AirflowCdError):
            planned_release("shop", "1", "{service}:{version}", {}, given_, environment="dev")


@hostile
@given(TEXT, TEXT)
def test_seals(value: str, other: str) -> None:
    sealer = Sealer(["one key"])
    sealed = sealer.seal(value)
    assert sealer.open(sealed, "/x") == value
    assert (sealer.seal(other) == sealed) is (other == value)
    for damaged in (sealed[:-3], sealed + "A", "sealed:" + other):
        with contextlib.suppress(AirflowCdError):
            assert sealer.open(damaged, "/x") == value


@hostile
@given(TEXT)
def test_durations(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_duration(text)


@hostile
@example(["\x04"])  # a mark of masking's own
@given(st.lists(TEXT, max_size=12))
def test_lines_of_logs(lines: list[str]) -> None:
    joiner = RecordJoiner()
    for line in lines:
        read_header(mask_line(line))
    list(joiner.feed(lines))
    list(joiner.finish())


@hostile
@given(st.binary(max_size=800) | st.binary(max_size=200).map(lambda tail: b"time,a,b\n2026-11-23T08:00:00Z,1," + tail))
def test_files_of_metrics(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.csv"
        path.write_bytes(content)
        with contextlib.suppress(AirflowCdError):
            read_metrics(InputFile(str(path), "canary", "metrics", "m"))


@hostile
@given(st.sampled_from([b"", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\xff\xfe"]), st.binary())
def test_files_of_any_kind(magic: bytes, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(magic + content)
        with contextlib.suppress(AirflowCdError), opened(str(path)) as stream:
            stream.read()


@hostile
@given(st.dictionaries(st.sampled_from(["verdict", "reasons", "quality", "performance", "version"]), JSON) | JSON)
def test_stored_evidence(content: Any) -> None:
    with contextlib.suppress(AirflowCdError):
        Judgement.from_dict(content)


# -- time ------------------------------------------------------------------------------------------------------------

LINEAR = 24.0
"""Eight times as much takes eight times as long, 64 times where it is quadratic; the rest is for a busy machine."""


def _mask(text: str) -> None:
    read_header(mask_line(text))


def _join(text: str) -> None:
    joiner = RecordJoiner()
    list(joiner.feed([text]))
    list(joiner.finish())


def _redact(text: str) -> None:
    Redactor(["secret-of-the-shop"])(text)


PARSERS: dict[str, Callable[[str], object]] = {
    "mask": _mask,
    "count": lambda text: count_records([text]),
    "join": _join,
    "redact": _redact,
    "suspicion": lambda text: suspicion("/x", text),
    "depth": lambda text: is_too_deep(text.encode()),
    "retry-after": parse_retry_after,
    "address": shown_address,
    "NRQL": is_balanced,
}
PIECES = [
    "a",
    "=",
    "[",
    '"',
    "\\",
    "1",
    " ",
    "://",
    "a@",
    "%2",
    "-",
    "{",
    "aA1",
    "at x.y(Z.java:1)\n",
    "Caused by: ",
    "/",
    "'\\",
]


def _seconds(parse: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        parse(text)
        best = min(best, time.process_time() - began)
    return best


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("name", sorted(PARSERS))
def test_no_repetition_takes_more_than_linear_time(name: str, piece: str) -> None:
    parse, length = PARSERS[name], 4_000
    text = piece * (length // len(piece))
    small = _seconds(parse, text)
    large = _seconds(parse, text * 8)
    # What takes no time at all cannot be compared.
    assert large < 0.05 or large < LINEAR * max(small, 0.001), f"{small:.4f} s, then {large:.4f} s"
