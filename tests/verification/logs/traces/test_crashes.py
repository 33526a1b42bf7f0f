"""Crashes as runtimes print them: one record each, known by class and place."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.profile import LogProfile, Signature

CRASHES: dict[str, tuple[str, str, str]] = {
    "python group": (
        (
            '  + Exception Group Traceback (most recent call last):\n  |   File "/srv/a.py", line 4, in run\n'
            "  |     raise group\n  | ExceptionGroup: two (2 sub-exceptions)\n"
            "  +-+---------------- 1 ----------------\n"
            '    | Traceback (most recent call last):\n    |   File "/srv/card.py", line 4, in pay\n    |     pay()\n'
            "    | CardError: x\n    | and a note\n    +------------------------------------"
        ),
        "ExceptionGroup",
        "card.pay",
    ),
    "lua": (
        (
            "lua5.4: card.lua:42: attempt to index a nil value (local 'bank')\nstack traceback:\n"
            "\t[C]: in ?\n\tcard.lua:42: in function 'pay'\n\tkiosk.lua:7: in main chunk"
        ),
        "lua: attempt to index a nil value (local <*>)",
        "pay",
    ),
    "rust, color-eyre": (
        "The application panicked (crashed).\nMessage:  no card 42\nLocation: src/card.rs:42\n\nBacktrace omitted.",
        "panic: no card <*>",
        "src/card.rs",
    ),
    "ocaml": (
        (
            "Fatal error: exception Not_found\n"
            'Raised at Stdlib__Hashtbl.find in file "hashtbl.ml", line 540, characters 13-28\n'
            'Called from Card.pay in file "src/card.ml", line 42, characters 2-9'
        ),
        "Fatal error: exception Not_found",
        "Stdlib__Hashtbl.find",
    ),
    "node, with fields behind its frames": (
        (
            "CardError: no bank\n    at pay (/srv/card.js:4:9) {\n  errno: -3008,\n  code: 'ENOTFOUND',\n"
            "  [cause]: undefined\n}"
        ),
        "CardError",
        "pay",
    ),
    "dart": (
        (
            "Unhandled exception:\nCardError: no bank\n#0      Card.pay (package:kiosk/card.dart:42:7)\n"
            "#1      main (file:///srv/kiosk.dart:7:3)\n<asynchronous suspension>"
        ),
        "CardError",
        "Card.pay",
    ),
    "haskell": (
        (
            "kiosk: Map.!: no such key\nCallStack (from HasCallStack):\n  error, called at src/Card.hs:42:7 in kiosk\n"
            "  pay, called at src/Kiosk.hs:7:1 in kiosk"
        ),
        "error: Map.!: no such key",
        "error",
    ),
    "zig": (
        (
            "thread 99 panic: integer overflow\n/srv/card.zig:42:9: 0x103a8c1 in pay (kiosk)\n    a += b;\n      ^\n"
            "/srv/kiosk.zig:7:5: 0x103a8c1 in main (kiosk)"
        ),
        "panic: integer overflow",
        "pay",
    ),
    "fortran": (
        (
            "At line 42 of file tide.f90 (unit = 9, file = 'tide.dat')\n"
            "Fortran runtime error: Bad value during integer read\n\n"
            "Error termination. Backtrace:\n#0  0x7f12ab in ???\n#1  0x55aa01 in read_tide_\n\tat tide.f90:42"
        ),
        "Fortran runtime error: Bad value during integer read",
        "read_tide_",
    ),
    "julia": (
        (
            "ERROR: LoadError: BoundsError: attempt to access 4-element Vector{Int64} at index [9]\nStacktrace:\n"
            " [1] getindex\n   @ ./essentials.jl:13 [inlined]\n [2] berth(ship::Int64)\n   @ Main /srv/quay.jl:42"
        ),
        "BoundsError",
        "getindex",
    ),
    "java with a message of lines": (
        (
            "2025-02-03 04:05:06 ERROR a.Card - failed: a.b.CardException: first\nsecond line of it\n"
            "\tat a.b.Card.pay(Card.java:4)\n"
            "\tSuppressed: a.b.CloseException: x\n\t\tat a.b.Card.close(Card.java:9)\nCaused by: a.b.BankException: y\n"
            "\tat app//a.b.Bank.ask(Bank.java:7)\n\t... 3 more"
        ),
        "a.b.CardException",
        "a.b.Bank.ask",
    ),
    "jvm without frames": (
        "2025-02-03 04:05:06 WARN a.Card - failed\njava.lang.NullPointerException: null",
        "java.lang.NullPointerException",
        "",
    ),
    "node": (
        (
            "file:///srv/card.mjs:4\n  throw new CardError()\n        ^\n\nCardError: x\n"
            "    at pay (file:///srv/card.mjs:4:9)\n"
            "    at ModuleJob.run (node:internal/modules/esm/module_job:195:25)\n\nNode.js v20.1.0"
        ),
        "CardError",
        "pay",
    ),
    "go": (
        (
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:\nmain.pay()\n"
            "\t/srv/card.go:4 +0x1d\n"
            "exit status 2"
        ),
        "fatal error: all goroutines are asleep - deadlock!",
        "main.pay",
    ),
    "go http": (
        (
            "2025/02/03 04:05:06 http: panic serving 10.0.0.1:99: no card\ngoroutine 9 [running]:\n"
            "net/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1850 +0xbf\n"
            "panic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:890 +0x262\nmain.pay(...)\n\t/srv/card.go:4 +0x1d"
        ),
        "panic: no card",
        "main.pay",
    ),
    "rust": (
        (
            "thread 'main' panicked at src/card.rs:4:9:\nno card\nstack backtrace:\n   0: rust_begin_unwind\n"
            "             at /rustc/1/library/std/src/panicking.rs:1:1\n   1: billing::card::pay\n"
            "             at ./src/card.rs:4:9"
        ),
        "panic: no card",
        "billing::card::pay",
    ),
    "rust without backtrace": (
        "thread 'w-1' panicked at src/card.rs:4:9:\nno card\nnote: run with `RUST_BACKTRACE=1`",
        "panic: no card",
        "src/card.rs",
    ),
    "ruby": (
        "card.rb:4:in `pay': no card (CardError)\n\tfrom card.rb:9:in `run'\n\tfrom main.rb:1:in `<main>'",
        "CardError",
        "pay",
    ),
    "php": (
        (
            "PHP Fatal error:  Uncaught App\\CardError: x in /srv/Card.php:4\nStack trace:\n"
            "#0 /srv/Web.php(9): App\\Card->pay()\n"
            "#1 {main}\n  thrown in /srv/Card.php on line 4"
        ),
        "App\\CardError",
        "App\\Card->pay",
    ),
    ".net": (
        (
            "Unhandled exception. System.CardException: x\n ---> System.BankException: y\n"
            "   at A.Bank.Ask() in /srv/Bank.cs:line 4\n"
            "   --- End of inner exception stack trace ---\n   at A.Card.Pay() in /srv/Card.cs:line 9"
        ),
        "System.CardException",
        "A.Bank.Ask",
    ),
    ".net in french": (
        "Exception non gérée : System.CardException: x\n   à A.Card.Pay(Int32 n) dans C:\\srv\\Card.cs:ligne 4",
        "System.CardException",
        "A.Card.Pay",
    ),
    "c++": (
        "terminate called after throwing an instance of 'std::out_of_range'\n  what():  no card\nAborted (core dumped)",
        "std::out_of_range",
        "no card",
    ),
    "elixir": (
        (
            "04:05:06.789 [error] GenServer Card terminating\n** (CardError) no card\n"
            "    (billing 0.1.0) lib/card.ex:4: Card.pay/1\n"
            "    (stdlib 4.0) gen_server.erl:1123: :gen_server.try_dispatch/4\nLast message: :pay"
        ),
        "CardError",
        "Card.pay",
    ),
    "perl": (
        (
            "no card at /srv/card.pl line 4.\n\tmain::pay(9) called at /srv/card.pl line 9\n"
            "\tmain::run() called at /srv/card.pl line 12"
        ),
        "died: no card",
        "main::pay",
    ),
    "swift": (
        (
            "billing/Card.swift:4: Fatal error: no card\nCurrent stack trace:\n"
            "0    libswiftCore.so    0x00007f swift_reportError + 50\n"
            "1    billing            0x00005f main + 4"
        ),
        "Fatal error: no card",
        "",
    ),
}


def _traced(lines: list[str]) -> list[Signature]:
    return [signature for signature in LogProfile.of(lines).tallies if signature.traced]


@pytest.mark.parametrize("name", CRASHES)
def test_is_one_record_known_by_class_and_place(name: str) -> None:
    text, kind, place = CRASHES[name]
    before, after = "2025-02-03 04:05:05 INFO served 1", "2025-02-03 04:05:07 INFO served 2"
    profile = LogProfile.of([before, *text.split("\n"), after])
    (signature,) = _traced([before, *text.split("\n"), after])
    assert profile.records in (2, 3)  # a traceback belongs to the record before it
    assert signature.exception == kind
    assert any(place in frame for frame in signature.frames) or not place
    assert name == "jvm without frames" or signature.severity in ("error", "fatal")


@pytest.mark.parametrize("name", [name for name, (_, _, place) in CRASHES.items() if place])
def test_a_known_crash_hides_none_in_another_place(name: str) -> None:
    text, _, place = CRASHES[name]
    other = text.replace(place.split(".")[-1].split("::")[-1].split("/")[0].split("->")[-1], "refund")
    assert other != text
    assert _traced(text.split("\n")) != _traced(other.split("\n"))


def test_the_reason_belongs_to_a_panic() -> None:
    text = CRASHES["go"][0]
    assert _traced(text.split("\n")) != _traced(
        text.replace("all goroutines are asleep", "concurrent map writes").split("\n")
    )


def test_values_in_a_reason_do_not() -> None:
    text = CRASHES["rust"][0]
    one, other = text.replace("no card", "no card 4"), text.replace("no card", "no card 77")
    assert _traced(one.split("\n")) == _traced(other.split("\n"))


def test_lines_after_an_exception_that_are_no_message_stay_apart() -> None:
    lines = ["ERROR failed: a.b.CardException: first", "served 1", "served 2", "2025-02-03 04:05:06 INFO served"]
    assert LogProfile.of(lines).records == 4


def test_java_util_logging_states_the_level_on_its_second_line() -> None:
    (signature,) = LogProfile.of(["Feb 03, 2025 4:05:06 AM a.b.Card pay", "SEVERE: no card 4"]).tallies
    assert signature.severity == "error"


def test_dotnet_console_writes_two_lines() -> None:
    profile = LogProfile.of(["info: A.Web[0]", "      served 1", "fail: A.Card[13]", "      no card 4"])
    assert sorted(signature.severity for signature in profile.tallies) == ["error", "info"]
