"""What tasks of a run have returned, and test runs have written, as numbers that are held against limits."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceRejected, SourceUnavailable
from airflow_cd.sources import CheckResults, TaskResult
from airflow_cd.sources.check_formats import UnknownFormat, checks_of
from airflow_cd.verification.samples import Metric, Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
NAMES = ["shop-1", "shop-2"]

runs = itertools.count(1)


def window(first: float, last: float) -> Window:
    return Window(BEGIN + dt.timedelta(seconds=first), BEGIN + dt.timedelta(seconds=last))


@pytest.fixture
def xcom(monkeypatch):
    """What the tasks of a run have returned so far, by task and key."""
    returned: dict[tuple[str, str], Any] = {}
    dag = SimpleNamespace(dag_id="shop", task_ids=["load_test", "dbt_test"])
    context = {"dag": dag, "ti": SimpleNamespace(run_id=f"run-{next(runs)}")}
    monkeypatch.setattr("airflow.sdk.get_current_context", lambda: context)

    def get_one(*, key: str, dag_id: str, task_id: str, run_id: str) -> Any:
        assert (dag_id, run_id) == ("shop", context["ti"].run_id)
        found = returned.get((task_id, key))
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.get_one", get_one)
    return returned


class TestTaskResult:
    def test_a_number_stands_where_it_was_first_seen_and_stays_there(self, xcom):
        source = TaskResult("load_test", "p95 of the load test", above=800, path="summary.p95")
        early = source.read(window(0, 5), NAMES)
        assert len(early.frame) == 0
        assert early.warnings == ("The task load_test has not returned anything yet.",)
        assert [metric.name for metric in early.metrics] == ["p95 of the load test"]
        xcom["load_test", "return_value"] = {"summary": {"p95": 640}}
        seen = source.read(window(5, 10), NAMES).frame
        assert set(seen["time"]) == {BEGIN + dt.timedelta(seconds=5)}
        assert list(seen["value"]) == [640.0, 640.0]
        assert len(source.read(window(10, 15), NAMES).frame) == 0
        assert source.read(window(0, 15), NAMES).frame.equals(seen)

    def test_its_limits_are_the_authors(self):
        source = TaskResult("load_test", Metric("orders", "count", "lower_is_worse"), below=100)
        assert [(limit.metric, limit.above, limit.below) for limit in source.limits] == [("orders", None, 100)]

    @pytest.mark.parametrize(
        ("returned", "path", "said"),
        [
            ({"p50": 1, "p99": 2}, "p95", "there is no p95 in what the task load_test returned, which has p50, p99"),
            ("fast", "", "is str, not a number"),
            ({"ok": True}, "ok", "at ok is bool, not a number"),
            (float("nan"), "", "not a number"),
            ([1, 2], "2", "there is no 2"),
        ],
    )
    def test_what_is_no_number_is_named(self, xcom, returned, path, said):
        xcom["load_test", "return_value"] = returned
        with pytest.raises(SourceQueryRejected, match=said):
            TaskResult("load_test", "p95", above=1, path=path).read(window(0, 5), NAMES)

    def test_names_with_dots_are_found(self, xcom):
        xcom["load_test", "return_value"] = {"http.req": {"p(95)": 7}, "http": {"req": 1}}
        frame = TaskResult("load_test", "p95", above=8, path="http.req.p(95)").read(window(0, 5), NAMES).frame
        assert set(frame["value"]) == {7.0}

    def test_a_task_that_is_not_there_is_named_with_those_that_are(self, xcom):
        with pytest.raises(SourceRejected, match=r"no task 'load_tests'.*\n?.*dbt_test, load_test"):
            TaskResult("load_tests", "p95", above=1).read(window(0, 5), NAMES)

    def test_outside_a_run_nothing_is_known(self):
        with pytest.raises(SourceRejected, match="known inside a run alone"):
            TaskResult("load_test", "p95", above=1).read(window(0, 5), NAMES)

    def test_an_api_server_that_is_away_may_come_back(self, xcom):
        xcom["load_test", "return_value"] = ConnectionError("refused")
        with pytest.raises(SourceUnavailable, match="cannot be read now: ConnectionError"):
            TaskResult("load_test", "p95", above=1).read(window(0, 5), NAMES)

    @pytest.mark.parametrize("given", [{}, {"above": "much"}, {"above": 1, "below": 2}, {"above": 1, "task_id": ""}])
    def test_mistakes_are_found_when_the_file_is_parsed(self, given):
        assert TaskResult(**{"task_id": "load_test", "metric": "p95", **given}).mistakes()


DBT = {
    "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"},
    "results": [
        {"unique_id": "test.shop.unique_orders_id", "status": "pass", "failures": 0},
        {"unique_id": "test.shop.not_null_orders_sku", "status": "fail", "failures": 3, "message": "Got 3 results"},
        {"unique_id": "test.shop.stale", "status": "warn", "failures": 1},
        {"unique_id": "test.shop.after", "status": "skipped", "failures": None},
        {"unique_id": "model.shop.orders", "status": "success"},
        {"unique_id": "model.shop.baskets", "status": "error", "message": "column does\nnot exist"},
    ],
}
VALIDATION = {
    "success": False,
    "statistics": {"evaluated_expectations": 3, "successful_expectations": 1},
    "results": [
        {
            "success": True,
            "expectation_config": {"expectation_type": "expect_column_to_exist", "kwargs": {"column": "id"}},
        },
        {
            "success": False,
            "expectation_config": {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "sku"}},
            "result": {"element_count": 120, "unexpected_count": 7},
        },
        {
            "success": False,
            "expectation_config": {"expectation_type": "expect_table_row_count_to_be_between", "kwargs": {}},
            "result": {"observed_value": 0},
        },
    ],
}
JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="smoke">
<testcase classname="smoke.Cart" name="adds"/><testcase name="old"><skipped/></testcase>
<testcase classname="smoke.Cart" name="pays"><failure message="expected 200, got 502">at line 7</failure></testcase>
<testcase name="searches"><error>timed out</error></testcase></testsuite></testsuites>"""

FORMATS = [
    ("dbt", DBT, 5, {"test.shop.not_null_orders_sku": "Got 3 results", "model.shop.baskets": "column does not exist"}),
    (
        "expectations",
        VALIDATION,
        3,
        {
            "expect_column_values_to_not_be_null(sku)": "7 of 120 rows",
            "expect_table_row_count_to_be_between()": "observed 0",
        },
    ),
    ("junit", JUNIT, 3, {"smoke.Cart.pays": "expected 200, got 502", "searches": "timed out"}),
    ("numbers", {"passed": 2, "failed": 1}, 3, {"failed 1": ""}),
]


@pytest.mark.parametrize(("content", "ran", "failed"), [one[1:] for one in FORMATS], ids=[one[0] for one in FORMATS])
def test_results_are_read_as_the_tools_write_them(content, ran, failed):
    text = content if isinstance(content, str) else json.dumps(content)
    for form in {id(content): content, id(text): text, 0: text.encode()}.values():
        checks = checks_of(form)
        assert len(checks) == ran
        assert {check.name: check.said for check in checks if check.failed} == failed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"passed": 5, "failed": 0, "errors": 2}, ""),
        ({"passed": 5, "failed": 0, "error": "no connection"}, ""),
        ({"passed": 5, "failed": 0, "errors": ["no connection"]}, ""),
        ({"results": [{"unique_id": "model.orders", "status": "partial success"}]}, "partial success"),
        ({"success": False, "results": []}, "it failed, and none of its expectations"),
        ({"success": False, "run_results": {"a": {"success": True, "results": []}}}, "none of its expectations"),
        ('<testsuite name="smoke" tests="1" errors="1"><testcase name="a"/></testsuite>', "states more failures"),
        (
            '<testsuites><testsuite><testcase name="a"/><error message="no page"/></testsuite></testsuites>',
            "no",
        ),
        (
            '<testsuites errors="1"><testsuite name="s" errors="1"><testcase name="a"/></testsuite></testsuites>',
            "states",
        ),
    ],
)
def test_what_goes_wrong_beside_the_tests_is_no_success(content, said):
    failed = [check for check in checks_of(content) if check.failed]
    assert failed
    assert said in failed[0].said


def test_what_a_suite_states_of_its_tests_counts_once():
    case = '<testcase name="a"><failure message="502"/></testcase>'
    assert len(checks_of(f'<testsuites failures="1"><testsuite failures="1">{case}</testsuite></testsuites>')) == 1
    assert len(checks_of({"passed": 5, "failed": 0, "errors": [], "error": None})) == 5


def test_a_checkpoint_holds_the_results_of_several_validations():
    old = {"run_results": {"a": {"validation_result": VALIDATION}, "b": {"validation_result": VALIDATION}}}
    new = {"success": False, "run_results": {"a": VALIDATION}}
    assert [sum(check.failed for check in checks_of(one)) for one in (old, new)] == [4, 2]


@pytest.mark.parametrize(
    "content",
    [
        *("", "ok", "[]", "{}", "[" * 100_000, "<html/>", "<testsuite>"),
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><testsuite>&a;</testsuite>',
        {"results": [{"id": 1}]},
        {"passed": "many", "failed": 0},
        None,
        7,
    ],
)
def test_what_nobody_knows_is_refused(content):
    with pytest.raises(UnknownFormat):
        checks_of(content)


class TestCheckResults:
    def test_failed_checks_are_counted_and_named(self, xcom):
        xcom["dbt_test", "return_value"] = DBT
        sample = CheckResults("dbt_test").read(window(0, 5), ["shop-1"])
        assert dict(zip(sample.frame["metric"], sample.frame["value"], strict=True)) == {
            "failed checks": 2,
            "checks": 5,
        }
        assert "test.shop.not_null_orders_sku failed: Got 3 results." in sample.warnings

    def test_a_file_of_another_release_does_not_count(self, tmp_path):
        file = tmp_path / "junit.xml"
        source = CheckResults(path=str(file), name=f"file {next(runs)}")
        assert source.read(window(0, 5), NAMES).warnings == (f"There is no {file} yet.",)
        file.write_text(JUNIT)
        os.utime(file, times=(BEGIN.timestamp() - 60,) * 2)
        stale = source.read(window(5, 10), NAMES)
        assert len(stale.frame) == 0
        assert stale.warnings == (f"{file} was written before the release was deployed.",)
        # Written while nobody looked, between two windows: it belongs to this release.
        os.utime(file, times=(BEGIN.timestamp() + 3,) * 2)
        assert len(source.read(window(10, 15), NAMES).frame) == 4

    def test_a_run_of_no_test_proves_nothing(self, xcom):
        xcom["dbt_test", "return_value"] = {"passed": 0, "failed": 0}
        source = CheckResults("dbt_test")
        ran = [limit for limit in source.limits if limit.metric == "checks"]
        assert ran[0].below == 1
        assert set(source.read(window(0, 5), NAMES).frame["value"]) == {0.0}

    def test_what_nobody_knows_is_named(self, xcom, tmp_path):
        xcom["dbt_test", "return_value"] = {"done": True}
        with pytest.raises(SourceQueryRejected, match=r"return_value of dbt_test is no result.*an object of done"):
            CheckResults("dbt_test").read(window(0, 5), NAMES)

    def test_a_file_that_may_not_be_read_is_named(self, tmp_path):
        folder = tmp_path / "results"
        folder.mkdir()
        with pytest.raises(SourceError, match="results cannot be read"):
            CheckResults(path=str(folder)).read(window(0, 5), NAMES)

    @pytest.mark.parametrize("given", [{}, {"task_id": "a", "path": "b"}, {"path": "b", "allowed": -1}])
    def test_mistakes_are_found_when_the_file_is_parsed(self, given):
        assert CheckResults(**given).mistakes()


def test_nothing_is_kept_of_what_was_read(tmp_path):
    """Two files under one name are two results."""
    for number, failed in ((1, 0), (2, 3)):
        file = Path(tmp_path / f"{number}.json")
        file.write_text(json.dumps({"passed": 5, "failed": failed}))
        os.utime(file, times=(BEGIN.timestamp() + 1,) * 2)
        frame = CheckResults(path=str(file), name="smoke").read(window(0, 5), ["shop-1"]).frame
        assert dict(zip(frame["metric"], frame["value"], strict=True))["failed checks"] == failed
