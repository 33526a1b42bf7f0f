"""What fails, and what does not, in forms that other loggers, runtimes and programs have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Quality, Verdict

_NAMES = "ann ben cleo dora emil fay gus hana ida jon kit lea max nell otto pia ravi sue tom una".split()  # noqa: SIM905


def _judged(new: Sequence[str], old: Sequence[str]) -> Quality:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(old)])


def _orders(number: int = 300) -> list[str]:
    return [f"2025-02-04T06:07:08Z INFO kiosk.orders - order {at} of {_NAMES[at % 20]} paid" for at in range(number)]


CRASHES = {
    "swift": "Sources/Kiosk/Card.swift:7: Fatal error: Index out of range",
    "zig": "thread 99 panic: integer overflow\n/srv/card.zig:7:9: 0x10 in pay (kiosk)\n    a += b;\n      ^",
    "perl": 'Can\'t call method "pay" on an undefined value at /srv/Card.pm line 7, <STDIN> line 2.',
    "clojure": "Execution error (ArityException) at kiosk.card/pay (card.clj:7).\nWrong number of args (3) passed",
    "ada": "raised STORAGE_ERROR : card.adb:7 stack overflow or erroneous memory access",
    "haskell": "kiosk: Map.!: no such key\nCallStack (from HasCallStack):\n  error, called at Map.hs:7:1",
    "otp": "=SUPERVISOR REPORT==== 4-Feb-2025::06:07:08.9 ===\n    supervisor: {local,kiosk}\n    errorContext: child",
    "jvm": "#\n# A fatal error has been detected by the Java Runtime Environment:\n#\n#  SIGBUS (0x7) at pc=0x1, pid=7",
    "powershell": "Pay : Value is null.\nAt C:\\k\\card.ps1:7 char:1\n    + CategoryInfo : NotSpecified: (:)",
    "ruby": "card.rb:7:in 'Card#pay': wrong (ArgumentError)\n\n    pay(1)\n    ^^^\n\tfrom kiosk.rb:9:in '<main>'",
    "lambda": "2025-02-04T06:07:09.1Z 6f1d2c3b-0000-4000-8000-00000000000a Task timed out after 6.01 seconds",
    "signal": "2025-02-04T06:07:08Z osd.1 *** Caught signal (Bus error) **",
    "spring": "***************************\nAPPLICATION FAILED TO START\n***************************",
    "oops": "[ 99.1] BUG: unable to handle page fault for address: ffffc9\n[ 99.1] Oops: 0000 [#1] SMP",
    "service before each line": (
        "[card] java.util.NoSuchElementException: x\n[card] \tat k.Card.pay(Card.java:7)\n[card] \tat k.W.r(W.java:9)"
    ),
    "rsyslog": "Feb  4 06:07:08 w k[7]: k.CardException: no#012#011at k.Card.pay(C.java:7)#012#011at k.W.r(W.java:9)",
    "logfmt": 'level=warn msg=paying trace="k.CardException: no\\n\\tat k.Card.pay(C.java:7)\\n\\tat k.W.r(W.java:9)"',
    "oracle": "Errors in file /u01/trace/kiosk_7.trc:\nORA-07445: exception encountered: core dump [kpofet()+99]",
    "crystal": "Unhandled exception: no (KeyError)\n  from k/card.cr:7:9 in 'pay'\n  from k.cr:9:1 in '__main'",
    "nim": "Traceback (most recent call last)\n/s/k.nim(9) k\n/s/c.nim(7) pay\nError: unhandled exception: [KeyError]",
    "before each line": (
        "(pay pid=77, ip=10.9.8.7) Traceback (most recent call last):\n"
        '(pay pid=77, ip=10.9.8.7)   File "/srv/card.py", line 7, in pay\n(pay pid=77, ip=10.9.8.7)     card.pay()\n'
        "(pay pid=77, ip=10.9.8.7) CardError: no"
    ),
    "rank before each line": (
        '[rank3]: Traceback (most recent call last):\n[rank3]:   File "/srv/card.py", line 7, in pay\n'
        "[rank3]:     card.pay()\n[rank3]: CardError: no"
    ),
    "of a worker, warned of": "[04-Feb-2025 06:07:08] WARNING: [pool k] child 99 exited on signal 6 (SIGABRT) after 9",
    "of a job, warned of": (
        "2025-02-04T06:07:08.9Z pid=9 tid=a1 WARN: KeyError: key not found: :card\n"
        "2025-02-04T06:07:08.9Z pid=9 tid=a1 WARN: app/jobs/pay_job.rb:7:in `perform'\n"
        "vendor/gems/q/lib/q/run.rb:9:in `run'"
    ),
    "answered 500": "2025-02-04T06:07:08Z INFO kiosk.web - Completed 500 Internal Server Error in 12ms",
}


@pytest.mark.parametrize("crash", CRASHES)
def test_a_new_crash_fails_whatever_the_runtime(crash: str) -> None:
    new = _orders()
    new[150:150] = CRASHES[crash].split("\n")
    assert _judged(new, _orders()).verdict is Verdict.FAIL


LEVELS: dict[str, tuple[str, str]] = {
    "macOS": (
        "2025-02-04 06:07:{:02d}.123456+0100 0x5a{:02d}     Default     0x0                  99     0    k: (Net) paid",
        "2025-02-04 06:07:09.123456+0100 0x5a99     Fault       0x0                  99     0    k: (Net) store off",
    ),
    "Chromium": (
        "[99:7:0204/0607{:02d}.123456:INFO:card_store.cc(4{:02d})] paid",
        "[99:7:0204/060709.123456:ERROR:card_store.cc(77)] card store gone",
    ),
    "Unreal Engine": (
        "[2025.02.04-06.07.{:02d}:123][ {:02d}]LogCards: Display: paid",
        "[2025.02.04-06.07.09:123][ 99]LogCards: Error: card store gone",
    ),
    "WebSphere": (
        "[2/4/25 6:07:{:02d}:123 CET] 000000{:02d} Orders        I   KIOS0001I: paid",
        "[2/4/25 6:07:09:123 CET] 00000099 Cards         E   KIOS0009E: card store gone",
    ),
    "dovecot": (
        "Feb  4 06:07:{:02d} mx dovecot: imap(ann)<{:02d}><q9>: Logged out",
        "Feb  4 06:07:09 mx dovecot: imap(ann)<99><q9>: Error: card store gone",
    ),
}


@pytest.mark.parametrize("dialect", LEVELS)
def test_a_level_is_read_where_the_program_writes_it(dialect: str) -> None:
    usual, new = LEVELS[dialect]
    old = [usual.format(at % 60, at % 60) for at in range(200)]
    assert _judged(old[::-1], old).verdict is Verdict.PASS
    assert _judged([*old, new], old).verdict is Verdict.FAIL


TEXTS: dict[str, Callable[[int], str]] = {
    "json": lambda at: f'{{"id": {at}, "who": "{_NAMES[at % 20]}", "with": {_list(at)}}}',
    "python": lambda at: f"{{'id': {at}, 'who': '{_NAMES[at % 20]}', 'with': {_list(at)}}}",
    "printed object": lambda at: f"Card[id={at}, holder={_NAMES[at % 20].title()} Roe, city=Port {_NAMES[-at % 20]}]",
}


def _list(at: int) -> str:
    return str(list(_NAMES[at % 7 : at % 11])).replace("'", '"')


def _with_errors(error: Callable[[int], str], start: int) -> list[str]:
    errors = [f"2025-02-04T06:07:08Z ERROR kiosk.cards - cannot read {error(at)}" for at in range(start, start + 60)]
    return [line for pair in zip(_orders(60), errors, strict=True) for line in pair]


@pytest.mark.parametrize("form", TEXTS)
def test_objects_within_a_text_are_values(form: str) -> None:
    assert _judged(_with_errors(TEXTS[form], 500), _with_errors(TEXTS[form], 0)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "form", ['{{"id": {0}, "code": "{1}"}}', "{{'id': {0}, 'code': '{1}'}}", "Card[id={0}, code={1}]"]
)
def test_a_code_within_an_object_is_news(form: str) -> None:
    def error(at: int) -> str:
        return form.format(at, ("worn", "torn")[at % 2])

    new = [
        *_with_errors(error, 500),
        "2025-02-04T06:07:08Z ERROR kiosk.cards - cannot read " + form.format(7, "forged"),
    ]
    assert _judged(new, _with_errors(error, 0)).verdict is Verdict.FAIL


def test_lines_of_a_payload_suggest_no_failure() -> None:
    def body(note: str, number: int) -> list[str]:
        return [
            f'2025-02-04T06:07:08Z DEBUG kiosk.http - body {{\n  "id": {at},\n  "note": "{note}"\n}}'
            for at in range(number)
        ]

    old, new = (
        [line for record in body(note, 40) for line in record.split("\n")] for note in ("two cups", "a failed souffle")
    )
    assert _judged([*_orders(), *new], [*_orders(), *old]).verdict is Verdict.PASS


def test_the_reason_of_a_failure_is_news_and_whose_it_is_is_not() -> None:
    def errors(*reasons: str, names: Sequence[str] = _NAMES) -> list[str]:
        return [
            f"2025-02-04T06:07:08Z ERROR kiosk.cards - could not charge card {at} of {names[at % len(names)]}: "
            f"{reasons[at % len(reasons)]}"
            for at in range(90)
        ]

    old = errors("limit_reached", "card_stolen", "wrong_pin")
    assert (
        _judged([*errors("limit_reached", "card_stolen", "wrong_pin", names=["zed", "yan"])], old).verdict
        is Verdict.PASS
    )
    assert _judged([*old, *errors("issuer_key_revoked")[:3]], old).verdict is Verdict.FAIL


def test_any_words_may_stand_in_a_quoted_text_whose_next_value_is_always_new() -> None:
    def searches(words: Sequence[str], number: int) -> list[str]:
        texts = [f"{words[at % 7]} {words[at % 5]} {words[at % 11]} {_NAMES[at % 20]}" for at in range(number)]
        return [f"2025-02-04T06:07:08Z ERROR kiosk.search - looked for '{text}' too long" for text in texts]

    words = "big red old mug cap pen lid tin jug bag box".split()  # noqa: SIM905
    new = searches([*words[:8], "crash", "fatal", "test"], 60)
    assert _judged([*_orders(), *new], [*_orders(), *searches(words, 60)]).verdict is Verdict.PASS


def test_a_message_with_two_words_of_a_name_is_the_one_whose_names_have_any_number() -> None:
    old, new = (
        [
            f"2025-02-04T06:07:08Z ERROR kiosk.stock - sold out of {what} for basket {at}"
            for at in range(8)
            for what in some
        ]
        for some in (
            ("oak chair", "pine shelf", "mug", "tin lid", "wool cap", "red clay pot"),
            ("ash bench", "pear", "mug"),
        )
    )
    assert _judged([*_orders(), *new], [*_orders(), *old]).verdict is Verdict.PASS


def test_a_field_after_a_name_is_no_part_of_the_name() -> None:
    def syncs(*verdicts: str, number: int = 120) -> list[str]:
        return [
            f"2025-02-04T06:07:08Z INFO kiosk - sync of {_NAMES[at % 20]} done "
            f"verdict={verdicts[at % len(verdicts)]} n={at}"
            for at in range(number)
        ]

    quality = _judged([*syncs("same", "merged"), *syncs("diverged", number=3)], syncs("same", "merged"))
    assert [event.counts["canary"] for event in quality.events if event.kind.value == "unknown"] == [3]


def _restless(seed: int, number: int = 300) -> list[str]:
    """A log in which hardly any error comes twice."""
    rare = [
        f"2025-02-04T06:07:08Z ERROR kiosk.{_NAMES[(at * seed) % 20]} - {_NAMES[(at + seed) % 20]} lost "
        for at in range(30)
    ]
    return [
        *_orders(number),
        *(f"{text}{_NAMES[(at * 7 + seed) % 20]} to {_NAMES[(at * seed) % 19]}" for at, text in enumerate(rare)),
    ]


def test_a_restless_log_hides_neither_a_new_trace_nor_what_repeats() -> None:
    old, same = _restless(3), _restless(7)
    assert _judged(same, old).verdict is not Verdict.FAIL
    trace = (
        "2025-02-04T06:07:08Z ERROR kiosk - oh\nk.CardException: no\n\tat k.Card.pay(C.java:7)\n\tat k.W.r(W.java:9)"
    )
    assert _judged([*same, *trace.split("\n")], old).verdict is Verdict.FAIL
    assert (
        _judged([*same, *["2025-02-04T06:07:08Z ERROR kiosk.bank - the bank knows us no more"] * 25], old).verdict
        is Verdict.FAIL
    )


def test_a_dozen_records_against_thousands_do_not_pass() -> None:
    quality = _judged(_orders(12), _orders(3000))
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert quality.reasons[0].code == "too_few_records"
    assert _judged(_orders(12), _orders(100)).verdict is Verdict.PASS
