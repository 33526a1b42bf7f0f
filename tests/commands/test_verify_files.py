"""``airflow-cd verify`` on log files, as a person calls it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cd.cli import main
from airflow_cd.report.page import render_report
from airflow_cd.report.report import Report
from airflow_cd.verification.verdict import Judgement
from tests.verification.shop_logs import INSTANCES, shop_logs

PASSED, FAILED, INCONCLUSIVE, ERROR = 0, 1, 2, 3
PLANTED = {"KeyError", "ZeroDivisionError", "shop.errors.ExportError", "TypeError"}


def shop(seed: int, *, broken: bool = False, seconds: float = 120) -> str:
    frame = shop_logs(random.Random(seed), INSTANCES[:3], seconds, broken=broken)
    return "\n".join(frame["message"]) + "\n"


@pytest.fixture(scope="module")
def logs() -> dict[str, str]:
    return {"old.log": shop(1), "older.log": shop(2), "good.log": shop(3), "bad.log": shop(4, broken=True)}


@pytest.fixture
def folder(tmp_path: Path, logs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with logs of a shop, and the current one."""
    for name, content in logs.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(*arguments: str) -> int:
    return main(["verify", *arguments])


def test_a_bad_release_fails_and_its_exceptions_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--baseline", "old.log", "older.log", "--canary", "bad.log") == FAILED
    said = capsys.readouterr().out
    assert said.startswith("FAIL: 4 events are unknown: ")
    for exception in PLANTED:
        assert re.search(rf"^ +\d\. {exception}  unknown, error: \d+ on the canary$", said, re.MULTILINE)
    assert "in gift.redeem < app.handle" in said
    assert 'File "/srv/shop/gift.py"' in said
    assert "--expected" in said
    assert "\x1b" not in said


def test_a_good_release_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--baseline", "old.log", "--canary", "good.log") == PASSED
    assert capsys.readouterr().out.startswith("PASS: ")


def test_without_anything_to_compare_with_it_is_inconclusive(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--canary", "good.log") == INCONCLUSIVE
    said = capsys.readouterr().out
    assert said.startswith("INCONCLUSIVE: ")
    assert "with --baseline" in said


def test_a_canary_of_empty_lines_is_inconclusive(folder: Path) -> None:
    Path("blank.log").write_text("\n \n\n", encoding="utf-8")
    assert verify("--baseline", "old.log", "--canary", "blank.log") == INCONCLUSIVE


def test_a_control_that_errs_alike_excuses_the_canary(folder: Path, logs: dict[str, str]) -> None:
    Path("control.log").write_text(shop(5, broken=True), encoding="utf-8")
    assert verify("--baseline", "old.log", "--control", "control.log", "--canary", "bad.log") == PASSED


def test_each_canary_file_is_an_instance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        Path(name).mkdir()
        Path(name, "app.log").write_text(Path("bad.log").read_text(encoding="utf-8"), encoding="utf-8")
    assert verify("--baseline", "old.log", "--canary", "one/app.log", "two/app.log", "--json", "-") == FAILED
    judgement = json.loads(capsys.readouterr().out)["judgement"]
    assert judgement["canary"] == ["one/app.log", "two/app.log"]
    risk = next(event for event in judgement["quality"]["events"] if event["risk"])
    assert set(risk["instances"]) == {"one/app.log", "two/app.log"}


def test_the_newest_baseline_stands_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--baseline", "older.log", "old.log", "--canary", "good.log", "--json", "-") == PASSED
    assert json.loads(capsys.readouterr().out)["judgement"]["quality"]["baseline"] == ["older.log", "old.log"]


def test_more_baselines_than_are_used_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = []
    for number in range(10):
        names.append(f"release-{number:02}.log")
        Path(names[-1]).write_text(Path("old.log").read_text(encoding="utf-8"), encoding="utf-8")
    assert verify("--baseline", *names, "--canary", "good.log", "--json", "-") == PASSED
    told = json.loads(capsys.readouterr().out)["judgement"]
    used = told["quality"]["baseline"]
    assert used == names[-len(used) :]
    assert bool(told["warnings"]) is (len(used) < 10)


@pytest.mark.parametrize("option", ["--report", "--json"])
def test_no_result_is_written_over_an_input(
    folder: Path, logs: dict[str, str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify("--baseline", "old.log", "--canary", "bad.log", option, "./old.log") == ERROR
    assert "it is one of the inputs" in capsys.readouterr().err
    assert Path("old.log").read_text(encoding="utf-8") == logs["old.log"]


def test_expected_events_are_no_risk(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [word for name in ("KeyError", "TypeError", "ExportError") for word in ("--expected", name)]
    assert verify("--baseline", "old.log", "--canary", "bad.log", *told) == FAILED
    assert capsys.readouterr().out.startswith("FAIL: 1 event is unknown: ZeroDivisionError")
    told += ["--expected", "re:Zero\\w+Error"]
    assert verify("--baseline", "old.log", "--canary", "bad.log", *told) == PASSED


def test_a_pattern_says_what_is_an_error_in_a_log_without_levels(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = "".join(f"parcel {number} weighed\n" for number in range(300))
    Path("plain.log").write_text(usual, encoding="utf-8")
    Path("astray.log").write_text(usual + "parcel 7 went astray\n", encoding="utf-8")
    compared = ("--baseline", "plain.log", "--canary", "astray.log")
    assert verify(*compared) == PASSED
    assert "say which records are errors" in " ".join(capsys.readouterr().out.split())
    assert verify(*compared, "--error", "went astray") == FAILED
    assert verify(*compared, "--error", "*") == ERROR
    assert "--error: error holds '*', which would match nearly everything" in capsys.readouterr().err


def test_an_expectation_that_nothing_came_of_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compared = ("--baseline", "old.log", "older.log", "--canary", "bad.log")
    verify(*compared, "--expected", "KeyError", "--expected", "KeyEror")
    said = capsys.readouterr().out
    assert "Note      --expected 'KeyEror' matched nothing that the canary logged." in said
    assert "--expected 'KeyError' matched nothing" not in said


def test_how_each_log_was_read_is_said_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mixed.log").write_text("2026-03-01 10:00:00 INFO shop.web - order 1 placed\nCOWS GO MOO\n" * 3)
    verify("--baseline", "old.log", "--canary", "mixed.log", "--json", "all.json")
    lines = [line for line in capsys.readouterr().out.splitlines() if ".log: " in line and " records, " in line]
    assert lines[0].startswith("Read as   old.log: ")
    assert re.search(r"; none of the first \d+ records without a header$", lines[0])
    assert lines[1] == (
        "          mixed.log: 6 records, header (time, level, logger); levels: 3 INFO, 3 without; "
        "3 records without a header, such as “COWS GO MOO”"
    )
    files = json.loads((folder / "all.json").read_text())["files"]
    assert files[1]["header"] == "header (time, level, logger)"
    assert files[1]["levels"] == {"info": 3, "none": 3}


def test_sensitivity_decides_about_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("warns.log").write_text(
        Path("good.log").read_text(encoding="utf-8") + "2026-11-23T08:10:00.000Z WARN shop.pool - pool is exhausted\n",
        encoding="utf-8",
    )
    given = ("--baseline", "old.log", "--canary", "warns.log", "--sensitivity")
    assert verify(*given, "medium") == PASSED
    said = capsys.readouterr().out
    assert (
        "New or unusual, but no risk:\n  -  WARN shop.pool - pool is exhausted\n     unknown, warning, 1 on the canary"
        in said
    )
    assert "--sensitivity high" in said
    assert verify(*given, "high") == FAILED


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_compressed_files_are_read_whatever_their_name(folder: Path, logs: dict[str, str], pack: Any) -> None:
    Path("packed").write_bytes(pack(logs["bad.log"].encode()))
    Path("old.log").write_bytes(pack(logs["old.log"].encode()))
    assert verify("--baseline", "old.log", "--canary", "packed") == FAILED
    Path("packed").write_bytes(pack(logs["good.log"].encode()))
    assert verify("--baseline", "old.log", "--canary", "packed") == PASSED


def test_a_gzip_file_of_several_parts_is_read_whole(folder: Path, logs: dict[str, str]) -> None:
    Path("rotated.gz").write_bytes(gzip.compress(logs["good.log"].encode()) + gzip.compress(logs["bad.log"].encode()))
    assert verify("--baseline", "old.log", "--canary", "rotated.gz") == FAILED


def test_zstandard_is_read_where_the_module_is_there_and_named_where_it_is_not(
    folder: Path, logs: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.zst").write_bytes(b"\x28\xb5\x2f\xfd" + logs["bad.log"].encode())
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert verify("--baseline", "old.log", "--canary", "bad.zst") == ERROR
    assert "pip install zstandard" in capsys.readouterr().err

    class Pretended:
        """Stands for the module: what it unpacks is the rest of the file, each piece of it a frame."""

        eof, unused_data = True, b""

        @staticmethod
        def ZstdDecompressor() -> Any:  # noqa: N802
            return Pretended

        @staticmethod
        def decompressobj() -> Any:
            return Pretended

        @staticmethod
        def decompress(packed: bytes) -> bytes:
            return packed.removeprefix(b"\x28\xb5\x2f\xfd")

    monkeypatch.setitem(sys.modules, "zstandard", Pretended)
    assert verify("--baseline", "old.log", "--canary", "bad.zst") == FAILED


def test_utf_16_is_read(folder: Path, logs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("wide.log").write_bytes(logs["bad.log"].encode("utf-16"))
    assert verify("--baseline", "old.log", "--canary", "wide.log") == FAILED
    assert capsys.readouterr().out.startswith("FAIL: 4 events")


def test_undecodable_and_overlong_records_are_counted_and_said(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path("good.log").open("ab") as file:
        file.write(b"2026-11-23T08:10:00.000Z INFO caf\xe9 is open\n")
        file.write(b"2026-11-23T08:10:00.000Z INFO " + b"x" * 100_000 + b"\n")
    verify("--baseline", "old.log", "--canary", "good.log")
    said = capsys.readouterr().out
    assert "good.log: 1 record was not UTF-8" in said
    assert "good.log: 1 record was too long" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--baseline", "old.log", "--canary", "nowhere.log"], r"^nowhere\.log does not exist\. Next: "),
        (["--baseline", "old.log", "--canary", "."], r"^\. is a folder\. Next: Name the files in it: \./\*"),
        (["--baseline", "void.log", "--canary", "bad.log"], r"^void\.log is empty\. Next: "),
        (["--baseline", "void.log.gz", "--canary", "bad.log"], r"^void\.log\.gz is empty once decompressed\. Next: "),
        (["--baseline", "cut.gz", "--canary", "bad.log"], r"^cut\.gz is damaged or was cut off: .* Next: "),
        (["--baseline", "program", "--canary", "bad.log"], r"^program is not a text file: .* Next: "),
        (["--baseline", "logs.zip", "--canary", "bad.log"], r"^logs\.zip is a zip archive\. Next: Unpack it"),
        (["--baseline", "-", "--canary", "-"], r"^standard input \(-\) is given more than once"),
        (["--baseline", "old.log"], r"^nothing of the canary is given to compare old\.log with\. Next: "),
        ([], r"^there is nothing to verify\. Next: "),
        (["--baseline", "old.log", "--canary", "bad.log", "--report", "no/such/r.html"], r"r\.html cannot be written"),
        (["--baseline", "old.log", "--canary", "bad.log", "--expected", "re:("], r"not a regular expression"),
        (["--metrics-canary", "old.log"], r"^old\.log (is not readable as CSV|has no column of times)"),
    ],
)
def test_bad_input_is_one_line_that_names_it_and_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    Path("void.log").touch()
    Path("void.log.gz").write_bytes(gzip.compress(b""))
    Path("cut.gz").write_bytes(gzip.compress(os.urandom(50_000))[:20_000])
    Path("program").write_bytes(bytes(range(256)) * 50)
    Path("logs.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    assert verify(*arguments) == ERROR
    told = capsys.readouterr()
    assert re.search(said, told.err), told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--no-such-option"],
        ["--sensitivity", "huge"],
        ["--baseline"],
        ["--minimum-effect", "lots"],
        ["--min-requests", "0"],
        ["--kind", "latency"],
        ["a-file.log"],
    ],
)
def test_a_wrong_command_line_is_no_verdict(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        verify(*arguments)
    assert ended.value.code == ERROR
    assert "airflow-cd verify: error: " in capsys.readouterr().err


def test_a_bug_of_ours_is_no_verdict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Panic(BaseException):
        pass

    def broken(*_: Any, **__: Any) -> None:
        raise Panic("out of luck")

    monkeypatch.setattr("airflow_cd.verification.files.verification.profile_stream", broken)
    assert verify("--baseline", "old.log", "--canary", "bad.log") == ERROR
    assert "out of luck" in capsys.readouterr().err


def test_json_is_alone_on_standard_output_and_tells_everything(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify("--baseline", "old.log", "--canary", "bad.log", "--json", "-") == FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["verdict"] == "FAIL"
    assert told["sentence"].startswith("FAIL: 4 events are unknown")
    assert told["settings"] == {"sensitivity": "medium", "expected": [], "minimum_effect": 0.2}
    sizes = {name: Path(name).stat().st_size for name in ("old.log", "bad.log")}
    assert [(file["path"], file["side"], file["read"]) for file in told["files"]] == [
        ("old.log", "baseline", sizes["old.log"]),
        ("bad.log", "canary", sizes["bad.log"]),
    ]
    assert all(file["records"] > 100 for file in told["files"])
    judgement = Judgement.from_dict(told["judgement"])
    assert judgement.quality is not None
    assert {event.exception for event in judgement.quality.risks} == PLANTED
    assert "<title>FAIL: bad.log</title>" in render_report(Report.from_dict(told))


def test_the_report_is_one_page_about_the_files(folder: Path) -> None:
    assert verify("--baseline", "old.log", "--canary", "bad.log", "--report", "out.html", "--json", "out.json") == 1
    page = Path("out.html").read_text(encoding="utf-8")
    for exception in PLANTED:
        assert exception in page
    for word in ("old.log", "bad.log", "What next?", "What was compared?"):
        assert word in page
    for word in ("Is it safe now?", "What was done", "ledger", "Nothing ran here before"):
        assert word not in page
    assert json.loads(Path("out.json").read_text(encoding="utf-8"))["verdict"] == "FAIL"


def test_hostile_lines_are_text_everywhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "<script>alert(1)</script>\x1b[2J\x1b]0;owned\x07 \u202e{{ 7*7 }}"
    Path("hostile<b>.log").write_text(
        Path("good.log").read_text(encoding="utf-8") + f"2026-11-23T08:10:00.000Z ERROR {hostile}\n", encoding="utf-8"
    )
    assert verify("--baseline", "old.log", "--canary", "hostile<b>.log", "--report", "out.html") == FAILED
    page, said = Path("out.html").read_text(encoding="utf-8"), capsys.readouterr().out
    assert "<script" not in page
    assert "<b>.log" not in page
    assert "{{ 7*7 }}" in page
    for text in (page, said):
        assert "alert(1)" in text
        assert not set(text) & {"\x1b", "\x07", "\u202e"}


class Terminal(io.StringIO):
    """A terminal that remembers what it was shown."""

    def isatty(self) -> bool:
        return True


def test_colour_only_on_a_terminal_and_not_with_no_color(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with monkeypatch.context() as patch:
            patch.delenv("NO_COLOR", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            terminal = Terminal()
            patch.setattr(sys, "stdout", terminal)
            verify("--baseline", "old.log", "--canary", "bad.log")
            assert ("\x1b[" in terminal.getvalue()) is coloured


def test_progress_is_shown_on_a_terminal_alone_and_wiped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cd.commands.verify.progress.FIRST_AFTER", 0.0)
    monkeypatch.setattr("airflow_cd.commands.verify.progress.INTERVAL", 0.0)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert verify("--baseline", "old.log", "--canary", "good.log") == PASSED
    assert re.search(r"reading old\.log: +\d+ % of \d+ kB", terminal.getvalue())
    assert terminal.getvalue().endswith("\r\x1b[K")
    silent = io.StringIO()
    monkeypatch.setattr(sys, "stderr", silent)
    assert verify("--baseline", "old.log", "--canary", "good.log") == PASSED
    assert silent.getvalue() == ""


def test_quiet_says_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify("--baseline", "old.log", "--canary", "bad.log", "--quiet") == FAILED
    assert capsys.readouterr().out == ""


PROBE = """
import sys
from airflow_cd.cli import main
code = main(sys.argv[1:])
loaded = [name for name in sys.modules if name.split(".")[0] in ("airflow", "sqlalchemy", "alembic")]
print("LOADED", loaded, file=sys.stderr)
sys.exit(code)
"""


def test_standard_input_in_a_process_of_its_own_without_airflow(folder: Path, logs: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, "verify", "--baseline", "old.log", "--canary", "-", "--report", "out.html"],
        input=gzip.compress(logs["bad.log"].encode()),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == FAILED, ended.stderr.decode()
    assert ended.stdout.startswith(b"FAIL: 4 events are unknown")
    assert ended.stderr.decode().strip() == "LOADED []"
    assert "standard input" in Path("out.html").read_text(encoding="utf-8")


def test_who_stops_listening_does_not_change_the_verdict(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", PROBE, "verify", "--baseline", "old.log", "--canary", "bad.log"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=120,
    )
    os.close(writing)
    assert ended.returncode == FAILED
    assert b"Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd on this system")
def test_a_pipe_by_its_path_is_read_once_and_whole(folder: Path, logs: dict[str, str]) -> None:
    reading, writing = os.pipe()
    content = (shop(6, seconds=20) + "2026-11-23T08:10:00.000Z ERROR shop.end - the very last line\n").encode()
    assert len(content) < 60_000  # fits into the pipe
    os.write(writing, content)
    os.close(writing)
    try:
        assert verify("--baseline", "old.log", "--canary", f"/dev/fd/{reading}", "--json", "out.json") == FAILED
    finally:
        os.close(reading)
    told = json.loads(Path("out.json").read_text(encoding="utf-8"))
    [file] = [file for file in told["files"] if file["side"] == "canary"]
    assert file["read"] == len(content)
    assert any("the very last line" in event["template"] for event in told["judgement"]["quality"]["events"])


PIECES = st.sampled_from(
    [b"\n", b" ", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"PAR1", b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"\xe9", b"{",
     b'{"message": "x"}', b"2026-11-23T08:00:00Z ERROR boom\n", b"Traceback (most recent call last):\n", b"  at a(b)\n"]
)  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join)))
def test_whatever_a_file_holds_it_gets_a_verdict_or_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    Path("any.log").write_bytes(content)
    for files in (("old.log", "any.log"), ("any.log", "good.log")):
        code = verify("--baseline", files[0], "--canary", files[1])
        told = capsys.readouterr()
        if code == ERROR:
            assert told.err.startswith("any.log ")
            assert "Next: " in told.err
            assert told.err.count("\n") == 1
        else:
            assert told.out.startswith(("PASS: ", "FAIL: ", "INCONCLUSIVE: ")[code])


def test_a_long_file_is_read_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing asks for all of a file at once: what is held does not grow with it."""
    asked: list[int] = []
    from airflow_cd.verification.files import opening as file_sources

    counted = file_sources._Counted.readinto

    def readinto(self: Any, buffer: Any) -> int:
        asked.append(len(buffer))
        return counted(self, buffer)

    monkeypatch.setattr(file_sources._Counted, "readinto", readinto)
    line = Path("good.log").read_text(encoding="utf-8")
    with Path("long.log").open("w", encoding="utf-8") as file:
        file.writelines([line] * 200)
    size = Path("long.log").stat().st_size
    assert size > 15_000_000
    assert verify("--baseline", "old.log", "--canary", "long.log", "--quiet") in (PASSED, FAILED)
    assert max(asked) <= size / 2
