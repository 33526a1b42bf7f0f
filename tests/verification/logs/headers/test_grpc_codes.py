"""Codes with which gRPC answers weigh as the statuses of HTTP that stand for them, whatever level the logger gave."""

from __future__ import annotations

import json

import pytest

from airflow_cd.verification.logs.headers.grpc_codes import failed_with, name_of_code
from airflow_cd.verification.logs.headers.requests import status_in
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

LAYOUTS = {
    "logfmt": 'time=2026-11-30T10:00:00Z level=info msg="call done" grpc.code=NAME grpc.method=Weigh',
    "numbers": "2026-11-30 10:00:00 INFO [harbour] done grpc_status=NUMBER method=/harbour.Crane/Weigh",
    "JSON": json.dumps({"level": "info", "msg": "call done", "grpc.code": "NAME", "method": "Weigh"}),
    "numbers as text": json.dumps({"level": "info", "msg": "done", "grpc_status": "NUMBER", "method": "Weigh"}),
    "OpenTelemetry": json.dumps({"level": "info", "msg": "call done", "rpc.grpc.status_code": "NUMBER"}),
}
CODES = {"OK": 0, "NotFound": 5, "Internal": 13, "Unavailable": 14, "DataLoss": 15}


def lines(layout: str, *codes: str) -> list[str]:
    """So many answers that each of the codes comes ten times at least."""
    answers = [LAYOUTS[layout].replace("NAME", code).replace("NUMBER", str(CODES[code])) for code in codes]
    return answers * (240 // len(codes))


@pytest.mark.parametrize("code", ["Internal", "Unavailable", "DataLoss"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_server_that_fails_at_info_fails_a_release(layout: str, code: str) -> None:
    good, bad = (LogProfile.of(lines(layout, *codes)) for codes in (["OK"], ["OK"] * 11 + [code]))
    assert judge_quality(bad, None, [good]).verdict is Verdict.FAIL
    assert judge_quality(bad, None, [bad]).verdict is Verdict.PASS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mistake_of_a_client_fails_none(layout: str) -> None:
    good, asked = (LogProfile.of(lines(layout, *codes)) for codes in (["OK"], ["OK"] * 11 + ["NotFound"]))
    assert judge_quality(asked, None, [good]).verdict is not Verdict.FAIL


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("INFO done grpc.code=DEADLINE_EXCEEDED took=<*>", 504),
        ('INFO done "grpc-status": "12"', 501),
        ("INFO done grpc.response.code: unknown", 500),
        ("INFO done code=Unimplemented", 501),
        ("INFO done code=Unknown", None),
        ("INFO done grpc.code=NotFound", None),
        ("INFO done grpc.code=141", None),
        ("INFO listening grpc.port=14", None),
        ("INFO the grpc code is Internal to us", None),
    ],
)
def test_which_codes_say_that_a_server_failed(text: str, status: int | None) -> None:
    assert failed_with(text) == status
    assert status_in(text) == status


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("grpc.code", 13, "Internal"),
        ("rpc.grpc.status_code", "0", "OK"),
        ("grpc_status", "17", None),
        ("grpc_status", "²", None),
        ("grpc_status", True, None),
        ("exit.code", 13, None),
    ],
)
def test_a_number_has_the_name_of_its_code(field: str, value: object, name: str | None) -> None:
    assert name_of_code(field, value) == name
