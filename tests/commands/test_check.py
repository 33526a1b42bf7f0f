"""``airflow-cd check``: pipeline files, before Airflow gets them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_cd.cli import main

RIGHT = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.sources import SumoLogicLogs
from neighbour import QUERY

verify = Verification(logs=[SumoLogicLogs(query=QUERY)], duration="15m", on_no_data="fail")
dag = Pipeline(
    "orders-eu",
    service="orders",
    stages=[
        [Environment("dev"), Environment("test", target="http_lab")],
        EmptyOperator(task_id="smoke"),
        Approval(approvers=["ada", "bob"], timeout="2d"),
        Canary(Environment("live"), phases=[5, 100], verify=verify),
    ],
).dag()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text('QUERY = "_sourceCategory=orders"\n', encoding="utf-8")
    return tmp_path


def checked(folder: Path, source: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    file = folder / "orders.py"
    file.write_text(source, encoding="utf-8")
    code = main(["check", str(file)])
    sys.modules.pop("neighbour", None)
    return code, capsys.readouterr().out


def test_a_right_one_says_what_a_run_would_do_and_leaves_nothing_behind(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = checked(folder, RIGHT, capsys)
    assert code == 0
    assert "pipeline orders-eu is right. A run of it deploys orders to:" in said
    assert [line[4:] for line in said.split("is right. A run of it deploys orders to:\n")[1].splitlines()] == [
        "artifact: orders:<version>",
        "1.  dev: every instance, over http_dev",
        "      not verified",
        "    test: every instance, over http_lab, at the same time",
        "      not verified",
        "2.  smoke: of your own",
        "3.  approve: waits for ada or bob, 2d at most",
        "4.  live: 5 %, then 100 % of the instances, over http_live",
        "      each watched for 15m at sensitivity medium: Sumo Logic _sourceCategory=orders",
        "      too little evidence, a source that errs: ask; no data: fail",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["neighbour.py", "orders.py"]
    assert str(folder) not in sys.path


def test_an_artifact_without_the_version_is_warned_of_and_no_mistake(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = checked(folder, RIGHT.replace('service="orders",', 'service="orders", artifact="orders:2.0",'), capsys)
    assert code == 0
    assert "    artifact: orders:2.0\n" in said
    assert "WARNING: pipeline orders-eu: its artifact 'orders:2.0' is the same whatever version a run asks for" in said
    code, said = checked(folder, RIGHT, capsys)
    assert (code, "WARNING" in said) == (0, False)


@pytest.mark.parametrize(
    ("duration", "longer"),
    [
        ('duration="90s"', "a PASS may take 5m more"),
        ('duration="7m"', "a PASS may take 3m more"),
        ('duration="10m"', ""),
        ('duration="90s", longest_lag="20s"', ""),
    ],
)
def test_how_much_longer_a_short_watch_takes(
    folder: Path, capsys: pytest.CaptureFixture[str], duration: str, longer: str
) -> None:
    code, said = checked(folder, RIGHT.replace('duration="15m"', duration), capsys)
    assert code == 0
    assert longer in said if longer else "a PASS may take" not in said


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ((").dag()", ")"), "pipeline 'orders-eu' has no DAG, so Airflow does not see it: end it with .dag()"),
        (("duration=", "duraton="), "Verification has no 'duraton': did you mean 'duration'?"),
        (("[5, 100]", "[5, 50]"), "must end at 100"),
        (("import QUERY", "import QERY"), "line 5: ImportError: cannot import name 'QERY'"),
        (("dag = Pipeline(", "dag = Pipeline(("), "SyntaxError"),
        (("dag = Pipeline(", "exit(4)\ndag = Pipeline("), "line 8: SystemExit: 4"),
    ],
)
def test_what_is_wrong_is_said_and_fails(
    change: tuple[str, str], expected: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = checked(folder, RIGHT.replace(*change), capsys)
    assert code == 1
    assert expected in said
    assert "is right" not in said


def test_a_file_without_pipelines_is_told_from_one_with_dags_of_its_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(folder, "x = 1\n", capsys)[0] == 1
    code, said = checked(folder, "from airflow.sdk import DAG\ndag = DAG('own')\n", capsys)
    assert (code, "a DAG of your own" in said) == (0, True)


def test_one_wrong_file_fails_all_and_one_that_is_not_there_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = folder / "good.py", folder / "bad.py"
    good.write_text("from airflow_cd import *\nPipeline('a', stages=[Environment('dev')]).dag()\n", encoding="utf-8")
    bad.write_text("from airflow_cd import *\nPipeline('a', stages=[Environment('dev')])\n", encoding="utf-8")
    assert main(["check", str(good)]) == 0
    assert main(["check", str(bad), str(good)]) == 1
    assert "pipeline a is right" in capsys.readouterr().out
    assert main(["check", str(good), str(folder / "none.py")]) == 3
    told = capsys.readouterr()
    assert (told.out, "there is no file" in told.err) == ("", True)
