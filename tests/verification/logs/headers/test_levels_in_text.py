"""The default layouts of common loggers: what level and which message are read in a line of each."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.profile import LogProfile

LAYOUTS = [
    # Python, JVM
    ("WARNING:billing:card 4 expires", "WARN billing:card <*> expires"),
    ("2025-02-03 04:05:06,789 - billing.card - CRITICAL - card 4 expires", "FATAL billing.card card <*> expires"),
    ("2025-02-03 04:05:06.789 | ERROR    | billing.card:pay:42 - card 4 expires", "ERROR billing.card:pay:<*> - card"),
    ("[2025-02-03 04:05:06,789: WARNING/ForkPoolWorker-3] card 4 expires", "WARN card <*> expires"),
    ("[2025-02-03 04:05:06 +0100] [77] [CRITICAL] worker lost", "FATAL worker lost"),
    ("[W 250203 04:05:06 ioloop:12] card 4 expires", "WARN card <*> expires"),
    ("04:05:06.789 [pool-2-thread-1] WARN  c.b.Card -- card 4 expires", "WARN c.b.Card -- card <*> expires"),
    ("2025-02-03T04:05:06.789+01:00 ERROR 1 --- [nio-80-exec-1] c.b.Card  : gone", "ERROR c.b.Card : gone"),
    ("[2025-02-03T04:05:06,789][WARN ][o.e.i.Shard   ] [node-7] shard 4 lost", "WARN o.e.i.Shard shard <*> lost"),
    ("SCHWERWIEGEND: Karte abgelehnt", "ERROR Karte abgelehnt"),
    # Go
    ("W0203 04:05:06.789012   99 card.go:42] card 4 expires", "WARN card <*> expires"),
    ("F0203 04:05:06.789012   99 card.go:42] card 4 expires", "FATAL card <*> expires"),
    ("W250203 04:05:06.789012 99 billing/card.go:42 ⋮ [n1] 7 card 4 expires", "WARN card <*> expires"),
    ('time="2025-02-03T04:05:06Z" level=fatal msg="card 4 expires"', 'FATAL msg="card <*> expires"'),
    ("WARN[0042] card 4 expires", "WARN card <*> expires"),
    ("t=2025-02-03T04:05:06+0000 lvl=crit msg=gone", "FATAL msg=gone"),
    ("2025-02-03T04:05:06.789Z\terror\tbilling/card.go:42\tcard gone", "ERROR billing/<*> card gone"),
    ("4:05AM FTL card gone id=4", "FATAL card gone id=<*>"),
    ("2025/02/03 04:05:06 warning: card 4 expires", "WARN card <*> expires"),
    ("E0203 04:05:06.789012 card.cpp:42] card 4 expires", "ERROR card <*> expires"),
    ("W0203 04:05:06.789012 MAIN card.cpp:42] card 4 expires", "WARN card <*> expires"),
    # Rust, Ruby, .NET, JavaScript, PHP, BEAM
    ("[2025-02-03T04:05:06Z WARN  billing::card] card 4 expires", "WARN billing::card card <*> expires"),
    ("2025-02-03T04:05:06.789012Z ERROR billing::card: card 4 expires", "ERROR billing::card: card <*> expires"),
    ("W, [2025-02-03T04:05:06.789012 #99]  WARN -- : card 4 expires", "WARN card <*> expires"),
    ("[04:05:06 FTL] card 4 expires", "FATAL card <*> expires"),
    ("error: card 4 expires", "ERROR card <*> expires"),
    ("[04:05:06.789] WARN (99): card 4 expires", "WARN card <*> expires"),
    ("[2025-02-03T04:05:06.789012+00:00] billing.CRITICAL: card 4 expires", "FATAL card <*> expires"),
    ("[03-Feb-2025 04:05:06 Europe/Berlin] PHP Warning:  card 4 expires", "WARN card <*> expires"),
    ("04:05:06.789 [warning] card 4 expires", "WARN card <*> expires"),
    # Network devices, IBM, Bacula
    ("AMQ7777E: Ferry '4' sank.", "ERROR AMQ7777E: Ferry '<*>' sank."),
    ("CWFER0042W: ferry 4 is late", "WARN CWFER0042W: ferry <*> is late"),
    ("03-Feb 04:05 harbour-dir JobId 4: Fatal error: quay gone", "FATAL quay gone"),
    ("03-Feb 04:05 harbour-fd JobId 4: Warning: rope 4 worn", "WARN rope <*> worn"),
    ("03-Feb 04:05 harbour-sd JobId 4: rope tied", "INFO rope tied"),
    (
        "Feb  3 04:05:06 rtr-9 99: *Feb  3 04:05:05.1: %SYS-2-MALLOCFAIL: no memory",
        "FATAL %SYS-2-MALLOCFAIL: no memory",
    ),
    ("Feb 03 2025 04:05:06 fw9 : %ASA-4-106023: Deny tcp", "WARN %ASA-4-106023: Deny tcp"),
    # Topics of RouterOS, the gravest of which counts; scripts without capitals
    ("feb/03/2025 04:05:06 script,error,critical rope snapped", "FATAL script,error,critical rope snapped"),
    ("feb/03 04:05:06 wireless,info quay-4 joined", "INFO wireless,info <*> joined"),
    ("Feb  3 04:05:06 quay ospf,error neighbour gone", "ERROR quay ospf,error neighbour gone"),
    ("2025-02-03 04:05:06 [エラー] 綱が切れた", "ERROR 綱が切れた"),
    ("2025/02/03 04:05:06 警告 船が遅れた", "WARN 船が遅れた"),
    # Julia, compilers
    ("[ Info: berth 4 is free", "INFO berth <*> is free"),
    ("┌ Warning: berth 4 is taken", "WARN berth <*> is taken"),
    ("quay/crane.cc:7:9: error: no berth", "ERROR quay/<*>: error: no berth"),
    ("Crane.cs(7,9): error CS0103: no berth", "ERROR Crane.cs(<*>): error <*>: no berth"),
    ("crane.ts:7:9 - warning TS2304: no berth", "WARN <*> - warning <*>: no berth"),
    # A level within the name of a module or a program
    ("2025-02-03 04:05:06,789 - card.py[ERROR]: card gone", "ERROR card.py card gone"),
    ("2025-02-03 04:05:06 +0000 Puppet (err): card gone", "ERROR Puppet card gone"),
    ("03/02/2025 04:05:06 ERROR/cardd[99]: card gone", "ERROR card gone"),
    ("####<Feb 03, 2025 04:05:06,789 AM UTC> <Error> <Card> <gone>", "ERROR <Card> <gone>"),
    # Tables, and letters with a sign behind them
    ('"Error","exec-9","02/03/2025","04:05:06","kiosk","card gone"', 'ERROR "<*>","<*>","<*>","kiosk","card'),
    ('"2025-02-03T04:05:06.789Z","i-0a9","kiosk","warn","card gone"', 'WARN "card gone"'),
    ("2025-02-03 04:05:06.789 [99] main/103/card.lua E> card gone", "ERROR card gone"),
    ("2025 Feb 03 04:05:06:789 GMT +1 Kiosk.BW Error [BW-User] card gone", "ERROR Kiosk.BW [BW-User] card gone"),
    ("03.02.2025 04:05:06;Fehler;Karte 4 abgelehnt", "ERROR Karte <*> abgelehnt"),
    ("25-2-3 04:05:06.7|Warn|Kiosk|card 4 expires", "WARN Kiosk|card <*> expires"),
    # Devices, printers, routers, and levels in front of the time
    ("E (917) pay: card gone", "ERROR pay: card gone"),
    ("W (04:05:06.789) pay: card 4 expires", "WARN pay: card <*> expires"),
    ("E [03/Feb/2025:04:05:06 +0100] [Job 9] card gone", "ERROR card gone"),
    ("kiosk-9:error  2025-02-03T04:05:06: card gone", "ERROR card gone"),
    ("warn  2025-02-03 04:05:06: card 4 expires", "WARN card <*> expires"),
    ("Mon Feb  3 04:05:06 2025 daemon.err cardd[99]: card gone", "ERROR cardd(<*>): card gone"),
    ("Feb  3 04:05:06 kiosk daemon.crit cardd[99]: card gone", "FATAL cardd(<*>): card gone"),
    ("Level:         Error", "ERROR Level: Error"),
    # Servers and data bases
    ("2025/02/03 04:05:06 ...rs/web/card.go:42:Pay() [E] card 4 expires", "ERROR card <*> expires"),
    ("2025-02-03T04:05:06.789Z pid=9 tid=1x class=Pay jid=4fd9 elapsed=0.2 WARN: slow", "WARN Pay slow"),
    ("2025/02/03 04:05:06 [crit] 9#9: *7 SSL_write() failed", "FATAL SSL_write() failed"),
    ("[Mon Feb 03 04:05:06.789012 2025] [ssl:warn] [pid 9:tid 8] card expires", "WARN card expires"),
    ("[Mon Feb 03 04:05:06 2025] [alert] [client 10.9.8.7] card expires", "FATAL card expires"),
    ("2025-02-03 04:05:06.789 CET [99] alice@billing FATAL:  no slot", "FATAL no slot"),
    ("2025-02-03 04:05:06.789 CET [99] LOG:  checkpoint", "INFO checkpoint"),
    ("2025-02-03T04:05:06.789012Z 7 [Warning] [MY-010068] [Server] CA certificate", "WARN CA certificate"),
    ("99:M 03 Feb 2025 04:05:06.789 # Can't save", "WARN Can't save"),
    ("99:M 03 Feb 2025 04:05:06.789 * Saved", "INFO Saved"),
    ("2025-02-03T04:05:06.789+0100 E STORAGE  [conn9] disk gone", "ERROR STORAGE (<*>) disk gone"),
    ("2025-02-03 04:05:06.789012+00:00 [error] <0.999.0> queue gone", "ERROR queue gone"),
    ("[2025-02-03 04:05:06.789][9][critical][upstream] no host", "FATAL no host"),
    ("2025-02-03 04:05:06, Error                 CBS    no card", "ERROR CBS no card"),
    ("[ALERT]    (9) : cannot bind", "FATAL cannot bind"),
    # System logs, phones, functions, tools
    ("<3>Feb  3 04:05:06 web-9 billing[99]: card 4 expires", "ERROR card <*> expires"),
    ("<28>1 2025-02-03T04:05:06Z web-9 billing 99 ID47 - card 4 expires", "WARN card <*> expires"),
    ("Feb  3 04:05:06 web-9 billing[99]: CRITICAL card 4 expires", "FATAL card <*> expires"),
    ("kern  :crit  : [   12.345678] disk gone", "FATAL disk gone"),
    ("02-03 04:05:06.789   999  1000 W Billing : card 4 expires", "WARN Billing : card <*> expires"),
    ("W/Billing ( 999): card 4 expires", "WARN Billing ( <*>): card <*> expires"),
    ("[WARN]\t2025-02-03T04:05:06.789Z\t0a1b2c3d-1111-2222-3333-444455556666\tcard 4", "WARN <*> card <*>"),
    ("npm ERR! code ELIFECYCLE", "ERROR code ELIFECYCLE"),
    ("E: No card in this house", "ERROR No card in this house"),
    ("2025-02-03T04:05:06Z W! [outputs.till] card 4 expires", "WARN outputs.till card <*> expires"),
    ("[    12.345] (EE) till(0): card 4 expires", "ERROR till(<*>): card <*> expires"),
    ("[99]{-1}[7/-1] 2025-02-03 04:05:06.789012 e Billing Card.cpp(42) : gone", "ERROR Billing Card.cpp(<*>) : gone"),
    ("03.02.2025 04:05:06 HATA kart 4 yok", "ERROR kart <*> yok"),
    ("npm warn deprecated glob", "WARN deprecated glob"),
    ("\x1b[90m04:05:06\x1b[0m \x1b[1;33mWARN\x1b[0m card 4 expires", "WARN card <*> expires"),
]


@pytest.mark.parametrize(("line", "template"), LAYOUTS, ids=[line[:40] for line, _ in LAYOUTS])
def test_level_and_message(line: str, template: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.template.startswith(template)
    assert signature.stated


@pytest.mark.parametrize(
    "line",
    [
        "GET /search?severity_filter=all&word=error HTTP/1.1",
        "Error while opening the door was simulated",
        "Note: tea is served",
        "alert users about tea",
        "[config] 4 files loaded",
        "I am here",
        "2025-02-03 04:05:06 e come va",
        "shelf E: card 4",
        "10.0.0.1:8080 connected",
        "fine weather",
    ],
)
def test_words_of_a_message_are_no_levels(line: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.severity == "info"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("30/Jan/2025:04:05:06 ERROR card gone", "01/Feb/2025:04:05:06 ERROR card gone"),
        ("Jan 30 04:05:06 web-a billing[9]: card gone", "Feb  1 04:05:06 web-b billing[12]: card gone"),
        ("Thu Jan 30 04:05:06 2025 ERROR card gone", "Sat Feb 01 14:05:06 2025 ERROR card gone"),
        ("Thu, 30 Jan 2025 04:05:06 GMT ERROR card gone", "Sat, 01 Feb 2025 04:05:06 CEST ERROR card gone"),
        ("01/30/2025 04:05:06 AM ERROR card gone", "01/30/2025 04:05:06 PM ERROR card gone"),
        ("30. Januar 2025 04:05:06 FEHLER: card gone", "1. Februar 2025 04:05:06 FEHLER: card gone"),
        ("30 janv. 2025 04:05:06 ERROR card gone", "1 févr. 2025 04:05:06 ERROR card gone"),
        ("1738209906.123 ERROR card gone", "1738209907123 ERROR card gone"),
        ("2025-01-30T04:05:06Z ERROR card gone", "2025-01-30 04:05:06,123 +0100 ERROR card gone"),
        ("2025-01-30 04:05:06 UTC ERROR card gone", "2025-01-30 04:05:06 EST ERROR card gone"),
        ("2025-01-30 04:05:06 ERROR [main] b.Card - gone", "2025-01-30 04:05:06 ERROR [pool-1-thread-2] b.Card - gone"),
        ("2025-01-30 04:05:06 ERROR [main] b.Card - gone", "2025-01-30 04:05:06 ERROR [scheduler] b.Card - gone"),
        ("<11>Jan 30 04:05:06 a billing[9]: gone", "<131>Feb  1 04:05:06 b billing[9]: gone"),
        ("ERROR card gone", "\x1b[31mERROR\x1b[0m card gone"),
    ],
)
def test_what_a_header_says_makes_no_new_event(one: str, other: str) -> None:
    assert LogProfile.of([one]).counts() == LogProfile.of([other]).counts()


@pytest.mark.parametrize(
    "line",
    [
        "kernel: INFO: task ferry:99 blocked for more than 120 seconds.",
        "kernel: watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [ferry:99]",
        "kernel: rcu: INFO: rcu_sched self-detected stall on CPU",
        "kernel: Out of memory: Killed process 99 (java) total-vm:9kB",
        "Feb  3 04:05:06 web systemd[1]: billing.service: Main process exited, code=dumped, status=11/SEGV",
        "Feb  3 04:05:06 web systemd[1]: billing.service: Failed with result 'core-dump'.",
        "INFO java.lang.IllegalStateException: no card",
        "KeyError: 'card'",
        "billing[99]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so",
        "fatal: [web-9]: UNREACHABLE! => {}",
        "Segmentation fault (core dumped)",
        "uncaughtException: no card",
        "libc++abi: terminating due to uncaught exception of type std::bad_alloc",
        "*** SIGSEGV received at time=1738555506 on cpu 3 ***",
        "src/card.cc:42:7: runtime error: signed integer overflow",
        "card.rb:42: [BUG] Segmentation fault at 0x0000000000000008",
        "wasm trap: out of bounds memory access",
        "Terminating due to java.lang.OutOfMemoryError: Metaspace",
        "Error occurred during initialization of VM",
        "kiosk: src/card.c:42: int pay(int): Assertion `n > 0' failed.",
        "malloc(): corrupted top size",
        "init terminating in do_boot ({undef,[{card,start,[],[]}]})",
        "WARNING: ThreadSanitizer: data race (pid=9)",
        "You must install or update .NET to run this application.",
        "00:0002:00000:00099:2025/02/03 04:05:06.78 server  Error: 1105, Severity: 17, State: 2.",
    ],
)
def test_a_failure_is_an_error_whatever_level_was_given(line: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.severity in ("error", "fatal")


@pytest.mark.parametrize("line", ["systemd[1]: billing.service: Failed with result 'success'.", "INFO KeyErrors are 0"])
def test_what_only_looks_like_a_failure_is_none(line: str) -> None:
    (signature,) = LogProfile.of([line]).tallies
    assert signature.severity == "info"
