"""Structured records: levels, messages and exceptions under the names that loggers give them."""

from __future__ import annotations

import io
import json

import pytest

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import of_number, of_priority
from airflow_cd.verification.logs.profile import LogProfile

RECORDS = [
    ({"LogLevel": "Error", "Category": "A.B", "Message": "no card"}, "ERROR no card"),
    ({"@t": "x", "@mt": "no card"}, "INFO no card"),
    ({"@t": "x", "@l": "Fatal", "@mt": "no card"}, "FATAL no card"),
    ({"Timestamp": "x", "Level": "Warning", "MessageTemplate": "no {C}", "RenderedMessage": "no 4"}, "WARN no 4"),
    ({"log": {"level": "error", "logger": "x"}, "message": "no card"}, "ERROR no card"),
    ({"version": "1.1", "host": "h", "short_message": "no card", "level": 3}, "ERROR no card"),
    ({"version": "1.1", "short_message": "no card", "level": 4}, "WARN no card"),
    ({"severity": "ERROR", "protoPayload": {"methodName": "cards.pay", "status": {"code": 7}}}, "ERROR cards.pay"),
    ({"level": "error", "card": "gone"}, 'ERROR {"level": "error", "card": "gone"}'),
    ({"operationName": "PAY", "resultType": "Failure", "level": "Information"}, "INFO PAY result=Failure"),
    ({"PRIORITY": "3", "MESSAGE": "no card", "_HOSTNAME": "h"}, "ERROR no card"),
    ({"SeverityText": "", "SeverityNumber": 17, "Body": "no card"}, "ERROR no card"),
    ({"severityNumber": 9, "body": {"stringValue": "card"}}, "INFO card"),
    ({"severity": "CRITICAL", "textPayload": "no card"}, "FATAL no card"),
    ({"severity": "ERROR", "jsonPayload": {"message": "no card"}}, "ERROR no card"),
    ({"message": "card", "level": 250, "level_name": "NOTICE"}, "INFO card"),
    ({"message": "no card", "level": 400}, "ERROR no card"),
    ({"level": 50, "time": 1, "pid": 9, "msg": "no card"}, "ERROR no card"),
    ({"levelno": 40, "message": "no card"}, "ERROR no card"),
    ({"level_value": 40000, "message": "no card"}, "ERROR no card"),
    ({"t": {"$date": "x"}, "s": "W", "c": "NETWORK", "msg": "slow"}, "WARN slow"),
    ({"lvl": "eror", "msg": "no card"}, "ERROR no card"),
    ({"fields": {"level": "warn"}, "msg": "slow"}, "WARN slow"),
    ({"msg": "served"}, "served"),
    ({"sev": "E", "txt": "no card"}, "ERROR no card"),
    ({"level": "error", "logMessage": "no card"}, "ERROR no card"),
    ({"eventMessage": "no card", "messageType": "Error", "processID": 9}, "ERROR no card"),
    ({"level": "info", "note": "card", "meta": {"res": {"statusCode": 502}}}, "INFO card status=502"),
    ({"level": "info", "msg": "card", "card.result": "declined"}, "INFO card result=declined"),
    ({"level": "info", "msg": "card", "otel.status_code": "ERROR"}, "INFO card status=ERROR"),
    ({"level": "info", "msg": "card", "zip_code": "1234"}, "INFO card"),
    ({"level": "info", "msg": "card", "success": False}, "INFO card success=false"),
    ({"level": "error", "message": "refused", "cause": "vault sealed"}, "ERROR refused cause=vault sealed"),
    ({"level": "info", "msg": "gql", "errors": [{"extensions": {"code": "INTERNAL"}}]}, "INFO gql error=INTERNAL"),
    ({"level": "info", "msg": "gql", "errors": []}, "INFO gql"),
    ({"level": "info", "msg": "event", "event_name": "card.gone"}, "INFO event event=card.gone"),
    ({"level": "info", "msg": "served", "http": {"resp": {"code": 502}}}, "INFO served status=502"),
    ({"route": "/cards", "st": 502, "ms": 210}, '{"route": "/cards", "st": 502, "ms": 210} status=502'),
    ({"LevelDisplayName": "Error", "Message": "no card"}, "ERROR no card"),
    ({"EntryType": "Warning", "Message": "no card"}, "WARN no card"),
    ({"time": "x", "error": "no card left"}, "ERROR no card left"),
    ({"time": "x", "info": "card sold"}, "INFO card sold"),
]

# Records none of whose fields is called like a message, and what they say.
UNNAMED = [
    ({"level": "error", "glosa": "no card left", "user": "ann"}, "ERROR no card left"),
    ({"level": "error", "who": "Ann Marie Bell", "glosa": "no card"}, "ERROR no card"),
    ({"level": "error", "client_agent": "Mozilla/5.0 (like a real one)", "glosa": "no card"}, "ERROR no card"),
    ({"level": "error", "args": ["no card left"]}, "ERROR no card left"),
    ({"sev": "error", "svc": "shop.cards", "user": "ann.bell", "evt": "card.gone"}, "ERROR card.gone"),
    ({"level": "error", "user": "ann_bell", "glosa": "card.gone"}, "ERROR card.gone"),
    ({"frame": {"Level": "Error", "Msg": "no card"}, "pod": "a"}, "ERROR no card"),
    ({"frame": {"level": "error"}, "glosa": {"what": "no card left"}}, "ERROR no card left"),
    ({"level": "error", "operationName": "Shop/log", "glosa": "no card left"}, "ERROR Shop/log no card left"),
    ({"battery": {"level": 3}, "unit": "cell"}, '{"battery": {"level": 3}, "unit": "cell"}'),
]


@pytest.mark.parametrize(("record", "text"), UNNAMED, ids=[text + str(at) for at, (_, text) in enumerate(UNNAMED)])
def test_a_message_in_a_field_of_any_name(record: dict[str, object], text: str) -> None:
    assert unfold_json(json.dumps(record)) == text


def test_numbers_do_not_decide_which_field_is_the_message() -> None:
    lines = [
        f'{{"level":"error","glosa":"card {number * 7_919} of {number} is gone","note_of_clerk":"Desk {number}"}}'
        for number in range(40)
    ]
    block = profile_stream(io.BytesIO("\n".join(lines).encode()))
    assert {one.template for one in block.tallies} == {"ERROR card <*> of <*> is gone"}
    assert block.counts() == LogProfile.of(lines).counts()


def test_a_status_under_a_short_name_is_read_in_whole_blocks_too() -> None:
    lines = [f'{{"route":"/cards","st":{200 if number % 9 else 503},"ms":{number}}}' for number in range(300)]
    counts = profile_stream(io.BytesIO("\n".join(lines).encode())).counts()
    assert sorted((one.severity, count) for one, count in counts.items()) == [("error", 34), ("info", 266)]


def test_a_hash_of_ruby_is_read_like_json() -> None:
    assert unfold_json('{:level=>"error", :message=>"no card", "user"=>"ann"}') == "ERROR no card"
    assert unfold_json('{"a"=>b}') == '{"a"=>b}'


@pytest.mark.parametrize(("record", "text"), RECORDS, ids=[text + str(at) for at, (_, text) in enumerate(RECORDS)])
def test_level_and_message(record: dict[str, object], text: str) -> None:
    assert unfold_json(json.dumps(record)) == text


@pytest.mark.parametrize(
    ("record", "parts"),
    [
        (
            {
                "level": "WARN",
                "message": "m",
                "thrown": {
                    "name": "a.b.CardException",
                    "message": "x",
                    "extendedStackTrace": "a.b.CardException: x\n\tat a.b.Card.pay(Card.java:4)\n",
                },
            },
            ("a.b.CardException: x", "\tat a.b.Card.pay(Card.java:4)"),
        ),
        (
            {
                "level": "WARN",
                "message": "m",
                "throwable": {
                    "className": "a.CardException",
                    "message": "x",
                    "stepArray": [{"className": "a.Card", "methodName": "pay", "fileName": "Card.java"}],
                },
            },
            ("a.CardException: x", "\tat a.Card.pay("),
        ),
        (
            {
                "level_name": "ERROR",
                "message": "m",
                "context": {"exception": {"class": "App\\CardError", "message": "x"}},
            },
            ("App\\CardError: x",),
        ),
        (
            {"errorType": "TypeError", "errorMessage": "x", "stack": ["TypeError: x", "    at pay (card.js:4)"]},
            ("TypeError: x",),
        ),
        ({"log.level": "error", "message": "m", "error.type": "CardError", "error.message": "x"}, ("CardError: x",)),
        (
            {
                "event": "m",
                "level": "error",
                "exception": [
                    {
                        "exc_type": "CardError",
                        "exc_value": "x",
                        "frames": [{"filename": "card.py", "lineno": 4, "name": "pay"}],
                    }
                ],
            },
            ("CardError: x", 'File "card.py", line 4, in pay'),
        ),
    ],
    ids=["log4j2", "logback", "monolog", "lambda", "ecs", "structlog"],
)
def test_exceptions(record: dict[str, object], parts: tuple[str, ...]) -> None:
    text = unfold_json(json.dumps(record))
    assert all(part in text for part in parts)


def test_docker_wraps_a_line_or_a_part_of_one() -> None:
    assert unfold_json('{"log": "WARN slow\\n", "stream": "stdout", "time": "x"}') == "WARN slow"
    assert (
        unfold_json('{"log": "{\\"level\\":\\"warn\\",\\"msg\\":\\"m\\"}\\n", "stream": "stderr", "time": "x"}')
        == "WARN m"
    )
    assert unfold_json('{"log": "WARN sl", "stream": "stdout", "time": "x"}') == "WARN sl\x05"


@pytest.mark.parametrize(
    ("number", "key", "severity"),
    [
        (0, "level", "fatal"),
        (3, "level", "error"),
        (6, "level", "info"),
        (7, "severity", "debug"),
        (10, "level", "debug"),
        (30, "level", "info"),
        (40, "level", "warning"),
        (60, "level", "fatal"),
        (30, "levelno", "warning"),
        (17, "severitynumber", "error"),
        (13, "severity_number", "warning"),
        (200, "level", "info"),
        (400, "level", "error"),
        (550, "level", "fatal"),
        (500, "severity", "error"),
        (900, "level", "warning"),
        (1000, "level", "error"),
        (40000, "level", "error"),
        (4, "loglevel", "error"),
    ],
)
def test_scales_of_numbers(number: int, key: str, severity: str) -> None:
    assert of_number(number, key) == severity


@pytest.mark.parametrize(
    ("record", "severity"),
    [
        ({"reqId": "a", "app": "files", "remoteAddr": "", "level": 3, "message": "gone"}, "error"),
        ({"reqId": "a", "app": "files", "remoteAddr": "", "level": 1, "message": "there"}, "info"),
        ({"timestamp": 1.5, "source": "router", "data": {}, "log_level": 2, "message": "gone"}, "error"),
        ({"timestamp": 1.5, "source": "router", "data": {}, "log_level": 1, "message": "there"}, "info"),
        ({"ts": 1.5, "caller": "quay.go:7", "msg": "no berth", "err": "quay is full"}, "error"),
        ({"ts": 1.5, "caller": "quay.go:7", "msg": "berth given", "v": 2}, "info"),
    ],
)
def test_loggers_with_scales_of_their_own(record: dict[str, object], severity: str) -> None:
    profile = LogProfile.of([json.dumps(record)])
    (signature,) = profile.tallies
    assert signature.severity == severity


def test_priorities() -> None:
    assert [of_priority(priority) for priority in (0, 11, 14, 28, 191, 192)] == [
        "fatal", "error", "info", "warning", "debug", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"msg": "done", "status": 200}, {"msg": "done", "status": 503}),
        ({"msg": "done", "res": {"statusCode": 200}}, {"msg": "done", "res": {"statusCode": 503}}),
        ({"msg": "done", "httpRequest": {"status": 200}}, {"msg": "done", "httpRequest": {"status": 503}}),
        ({"level": "error", "msg": "no", "code": "E_CARD"}, {"level": "error", "msg": "no", "code": "E_BANK"}),
        ({"msg": "pod", "reason": "Started"}, {"msg": "pod", "reason": "OOMKilled"}),
        ({"msg": "job", "outcome": "success"}, {"msg": "job", "outcome": "poisoned"}),
        ({"msg": "rpc", "grpc.code": "OK"}, {"msg": "rpc", "grpc.code": "DataLoss"}),
        ({"msg": "rpc", "grpc_status": 0}, {"msg": "rpc", "grpc_status": 13}),
        ({"OriginStatus": 200, "RequestMethod": "GET"}, {"OriginStatus": 502, "RequestMethod": "GET"}),
        ({"msg": "done", "upstream_status": "200"}, {"msg": "done", "upstream_status": "502"}),
        ({"msg": "pay", "event": {"outcome": "success"}}, {"msg": "pay", "event": {"outcome": "failure"}}),
        ({"body": "x", "attributes": {"exit_code": 0}}, {"body": "x", "attributes": {"exit_code": 137}}),
        ({"level": 30, "msg": "m"}, {"level": 50, "msg": "m"}),
    ],
)
def test_fields_that_carry_news_tell_records_apart(one: dict[str, object], other: dict[str, object]) -> None:
    for read in (LogProfile.of, lambda lines: profile_stream(io.BytesIO("\n".join(lines).encode()))):
        assert len(read([json.dumps(one), json.dumps(other)]).tallies) == 2
    assert len(LogProfile.of([json.dumps({**one, "id": 1}), json.dumps({**one, "id": 22})]).tallies) == 1


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ('{"level": "info", "msg": "handled", "status": 502}', "error"),
        ('{"level": "info", "msg": "handled", "status": 404}', "info"),
        ('10.9.8.7 - - [03/Feb/2025:04:05:06 +0000] "GET /card HTTP/1.1" 503 12 "-" "curl"', "error"),
        ('10.9.8.7 - - [03/Feb/2025:04:05:06 +0000] "GET /card HTTP/1.1" 200 512 "-" "curl"', "info"),
        ('[2025-02-03T04:05:06.1Z] "POST /card HTTP/2" 503 UF 0 91', "error"),
        ("INFO GET /card status=500 dur=4", "error"),
        ("INFO status: 5123 cards", "info"),
    ],
)
def test_an_answer_of_500_weighs_as_an_error(line: str, severity: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.severity == severity


def test_json_records_show_message_level_and_stack() -> None:
    assert unfold_json('{"msg": "no stock", "level": "warn", "sku": 7}') == "WARN no stock"
    assert unfold_json('{"message": "m", "level": "error", "stack": "E: x\\n    at f (a.js:1:2)"}').count("\n") == 2


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"level": 50, "msg": "no stock"}', "ERROR no stock"),
        ('{"@l": "Warning", "@mt": "slow {Path}"}', "WARN slow {Path}"),
        ('{"log": {"level": "error"}, "message": "m"}', "ERROR m"),
        (
            '{"level": "error", "message": "m", "error": {"type": "KeyError", "message": "x"}}',
            "ERROR m\nKeyError: x",
        ),
        (
            '{"level": "error", "err": {"type": "E", "message": "x", "stack": "TypeError: x\\n    at f (a.js:1:2)"}}',
            "ERROR\nTypeError: x\n    at f (a.js:1:2)",
        ),
    ],
)
def test_json_of_other_loggers(line: str, text: str) -> None:
    assert unfold_json(line) == text


@pytest.mark.parametrize("line", ["{not json", "[1]", '{"a": 1}', "{" * 5000])
def test_what_is_no_json_record_stays(line: str) -> None:
    assert unfold_json(line) == line
