"""Layouts in which the level is part of a name, a number or a sign, and stamps in other languages."""

from __future__ import annotations

import json

import pytest

from airflow_cd.verification.logs.profile import LogProfile

LAYOUTS = [
    # A thread, a logger or a node in the same brackets as the level
    ("[04:05:06] [Quay thread/ERROR]: crane 4 leans", "ERROR crane <*> leans"),
    ("[03Feb2025 04:05:06.789] [Worker-Main-3/WARN] [harbour.Crane/]: crane 4 leans", "WARN crane <*> leans"),
    ("2025-02-03T04:05:06+0000 [harbour.crane#error] crane 4 leans", "ERROR harbour.crane crane <*> leans"),
    ("[Error#harbour] crane 4 leans @(quay:Crane src/Crane.hs:42:3)", "ERROR harbour crane <*> leans @(quay:Crane"),
    ("[ns_server:error,2025-02-03T04:05:06.7Z,ns_1@10.0.0.4:c<0.9.0>:c:turn:42]crane 4 leans", "ERROR crane <*> leans"),
    ("2025-02-03T04:05:06 [E|app|8f5a1c2e] crane 4 leans", "ERROR crane <*> leans"),
    # A letter before or within the stamp
    ("[E203 04:05:06.789012345 crane.cpp:42] crane 4 leans", "ERROR crane <*> leans"),
    ("W20250203-04:05:06.789(0)? crane 4 leans", "WARN crane <*> leans"),
    ("E 0203 04:05:06.789 THREAD42: crane 4 leans", "ERROR <*>: crane <*> leans"),
    ("E[2025-02-03|04:05:06.789] crane 4 leans   module=quay", "ERROR (<*>) crane <*> leans module=quay"),
    ("2025-02-03 04:05:06.789 T:4217    error <quay>: crane 4 leans", "ERROR <quay>: crane <*> leans"),
    ("[2/3/25, 4:05:06:789 UTC] 0000002a harbour.crane.Turntable   E crane 4 leans", "ERROR harbour.crane.Turntable"),
    ("[20250203 04:05:06.789 UTC C] harbour: crane 4 leans", "FATAL harbour: crane <*> leans"),
    ("at=error quay=3 crane leans", "ERROR quay=<*> crane leans"),
    # Behind an arrow, with a record's number that may have no digit
    ("04:05:06.789 turn ▶ ERRO 00a crane 4 leans", "ERROR turn crane <*> leans"),
    (
        "2025-02-03 04:05:06.789 UTC [harbour.crane] Turn -> ERRO abc crane 4 leans",
        "ERROR harbour.crane Turn crane <*>",
    ),
    # Behind a program whose process has no colon, an instance before the stamp, or where a host could stand
    ("[QUAYA] 2025/02/03 04:05:06 WARNING: crane 4 leans", "WARN crane <*> leans"),
    ("[1738555506] craned[99:3] error: crane 4 leans", "ERROR crane <*> leans"),
    ("Feb 03 04:05:06 web-9 craned   [99] (turn_crane) \terror: crane 4 leans", "ERROR crane <*> leans"),
    ("Feb 03 04:05:06 [99] web-9 craned error   [QUAY  ] crane 4 leans", "ERROR [QUAY ] crane <*> leans"),
    ("Feb  3 04:05:06 quay-9 err craned[99]: crane 4 leans", "ERROR craned(<*>): crane <*> leans"),
    ("2025-02-03 04:05:06 ERR craned[99]: crane 4 leans", "ERROR craned(<*>): crane <*> leans"),
    ("[harbour:99]  warn @2025-02-03 04:05:06> crane 4 leans", "WARN crane <*> leans"),
    ("04:05:06.789 request_id=F3a9 [error] crane 4 leans", "ERROR crane <*> leans"),
    ("harbour: crane: error: 4 leans", "ERROR <*> leans"),
    # Names of constants, scopes, dashes and signs
    ("04:05:06.789012345 [99] crane.cpp:42    LOG_ERROR     root    crane 4 leans", "ERROR root crane <*> leans"),
    ("error(crane): 4 leans", "ERROR crane <*> leans"),
    ("error--- crane 4 leans", "ERROR crane <*> leans"),
    ("[crane] › ✖  error     crane 4 leans", "ERROR crane <*> leans"),
    (" ⨯ crane 4 leans", "ERROR crane <*> leans"),
    ("⚠️ crane 4 leans", "WARN crane <*> leans"),
    # The message's id, or a number
    ("3-FEB-2025 04:05:06.78 %CRANE-E-LEANS, crane 4 leans", "ERROR %CRANE-E-LEANS, crane <*> leans"),
    (" 04.05.06 JOB00099  CRN0042E CRANE 4 LEANS", "ERROR CRN0042E CRANE <*> LEANS"),
    ("2025-02-03T04:05:06.789+0000 7f2c3a9b1700 -1 crane.3 42 crane 4 leans", "ERROR <*> crane <*> leans"),
    ("Feb  3 2025 04:05:06 quay-9 %%01CRANE/3/LEANS(l)[42]:crane 4 leans", "ERROR LEANS(l)(<*>):crane <*> leans"),
    # The application's record within a platform's
    ("2025-02-03T04:05:06.789 app[148ed1] ams [info] 2025-02-03 04:05:06,789 ERROR crane 4 leans", "ERROR crane <*>"),
    ("2025-02-03T04:05:06Z app[148ed1] ams [info]04:05:06.789 ERROR [quay] crane 4 leans", "ERROR crane <*>"),
    ("2025-02-03T04:05:06.1Z [inf]  04:05:06.789 ERROR [quay] crane 4 leans", "ERROR crane <*> leans"),
    ("2025-02-03T04:05:06.1Z [err]  04:05 is when crane 4 leans", "ERROR <*> is when crane <*> leans"),
    ("2025-02-03T04:05:06Z Er(179) cranectl: 4 leans", "ERROR cranectl: <*> leans"),
    # Columns, letters and numbers of levels
    ("02/03/2025 04:05:06|quay|web-9|E|crane 4 leans", "ERROR crane <*> leans"),
    ("12.345 Error Crane.cpp:42: crane 4 leans", "ERROR <*>: crane <*> leans"),
    ("2025-02-03T04:05:06.789Z **BROKEN** quay-42: crane 4 leans", "ERROR crane <*> leans"),
    ('T=2025-02-03T04:05:06Z L=err S=quay M="crane 4 leans"', 'ERROR S=quay M="crane <*> leans"'),
    ("Error,03/02/2025 04:05:06,Crane,1000,None,crane 4 leans", "ERROR ,Crane,<*>,None,crane <*> leans"),
    ('2025-02-03T04:05:06.789Z,7f2c3a9b,Crane,Error,"crane 4 leans",', 'ERROR "crane <*> leans",'),
    ("[CRANE.ERROR] 4/2 crane leans", "ERROR <*> crane leans"),
    ("<e> [quay] crane 4 leans", "ERROR crane <*> leans"),
    ("ts=1738555506.789 sev=E msg=leans", "ERROR msg=leans"),
    ("2025-02-03 04:05:06.789 UTC - [Parent 99: Main Thread]: E/Crane 4 leans", "ERROR"),
    ("Feb  3 04:05:06 2025 quay-9 craned[99]: <40203> <ERRS> crane 4 leans", "ERROR crane <*> leans"),
    ("error - crane 4 leans", "ERROR crane <*> leans"),
    ("🔴 04:05:06 crane 4 leans", "ERROR crane <*> leans"),
    # Stamps of other scripts, and with dots
    ("03/02/2025 04.05.06 ERRORE: gru 4 pende", "ERROR gru <*> pende"),
    ("3.2.2025 klo 04.05.06 VIRHE: nosturi 4", "ERROR nosturi <*>"),
    ("2025.02.03. 04:05:06 HIBA: daru 4", "ERROR daru <*>"),
    ("03/02/2025 04:05:06 م ERROR crane 4 leans", "ERROR crane <*> leans"),
    ("2025-02-03 04:05:06 [שגיאה] crane 4 leans", "ERROR crane <*> leans"),
    ("2025-02-03 04:05:06 (ERROR): crane 4 leans", "ERROR crane <*> leans"),
    ("2025年2月3日 下午04:05:06 [错误] crane 4 leans", "ERROR crane <*> leans"),
    ("2025. 2. 3. 오후 04:05:06 [오류] crane 4 leans", "ERROR crane <*> leans"),
    ("2025年02月03日 04時05分06秒 [エラー] crane 4 leans", "ERROR crane <*> leans"),
]


@pytest.mark.parametrize(("line", "template"), LAYOUTS)
def test_level_and_message_of_a_layout(line: str, template: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.template.startswith(template)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("pon 3 lut 2025 04:05:06 CET", "pią 4 kwi 2025 04:05:06 CEST"),
        ("mån 3 feb 2025 04:05:06 CET", "fre 4 apr 2025 04:05:06 CEST"),
        ("Pzt 3 Şub 2025 04:05:06 UTC", "Cum 4 Nis 2025 04:05:06 UTC"),
        ("po 3 úno 2025 04:05:06 CET", "pá 4 dub 2025 04:05:06 CEST"),
        ("ma 3 helmi 2025 04:05:06 EET", "pe 4 huhti 2025 04:05:06 EEST"),
        ("Δευ 3 Φεβ 2025 04:05:06 EET", "Παρ 4 Απρ 2025 04:05:06 EEST"),
        ("понедельник, 3 февраля 2025 04:05:06 MSK", "пятница, 4 апреля 2025 04:05:06 MSK"),
        ("3 lutego 2025 04:05:06 CET", "4 kwietnia 2025 04:05:06 CEST"),
        ("lut  3 04:05:06 web-a craned[9]:", "kwi 14 04:05:06 web-b craned[12]:"),
    ],
)
def test_names_of_days_and_months_make_no_new_event(one: str, other: str) -> None:
    read, again = (LogProfile.of([f"{stamp} ERROR crane leans"]).counts() for stamp in (one, other))
    assert read == again
    assert [signature.template for signature in read] == ["ERROR crane leans"]


@pytest.mark.parametrize(
    "line",
    [
        "error in crane 4",
        "alert - crane 4 was tested",
        "<e> is the letter of crane 4",
        "crane 4: [BUG] tracker is linked",
        "crane 4 (error) leans",
        "2025-02-03 04:05:06 cranes [error handling] turned on",
        "✔ crane 4 stands",
        "2025-02-03T04:05:06.789+0000 7f2c3a9b1700 1 crane.3 42 crane 4 stands",
        "%CRANE-S-STANDS, crane 4 stands",
    ],
)
def test_what_only_looks_like_an_errors_level_is_none(line: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.severity == "info"


@pytest.mark.parametrize(
    "record",
    [
        {"timestamp": "2025-02-03 04:05:06.789 CET", "pid": 9, "error_severity": "ERROR", "message": "crane leans"},
        {"severity_label": "Error", "text": "crane leans"},
        {"time": 1738555506, "host": "quay-9", "event": {"severity": "error", "message": "crane leans"}},
        {"id": "AQ9", "content": {"message": "crane leans", "attributes": {"status": "error", "quay": 4}}},
        {
            "resourceLogs": [
                {"scopeLogs": [{"logRecords": [{"severityText": "Error", "body": {"stringValue": "crane leans"}}]}]}
            ]
        },
    ],
)
def test_a_level_of_a_structured_record(record: dict[str, object]) -> None:
    (signature,) = LogProfile.of([json.dumps(record)]).tallies
    assert signature.template.startswith("ERROR crane leans")


def test_a_status_that_is_a_number_or_an_outcome_is_no_level() -> None:
    records = [{"message": "crane turned", "status": status} for status in (500, "success", "failed")]
    profile = LogProfile.of([json.dumps(record) for record in records])
    assert {signature.template for signature in profile.tallies if signature.severity == "info"} == {
        "crane turned status=success",
        "crane turned status=failed",
    }
