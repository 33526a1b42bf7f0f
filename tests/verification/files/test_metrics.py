"""Metrics in the files that people have: other headers, other times, units in cells, labels in columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from airflow_cd.errors import VerificationError
from airflow_cd.verification.files.metric_instances import joined
from airflow_cd.verification.files.metric_sides import sides_of
from airflow_cd.verification.files.metrics import MetricTable, read_metrics
from airflow_cd.verification.files.opening import InputFile

NOON = pd.Timestamp("2026-03-14T12:00:00Z")


def read(directory: Path, text: str) -> MetricTable:
    path = directory / "canary.csv"
    path.write_text(text, encoding="utf-8")
    return read_metrics(InputFile(str(path), "canary", "metrics", "canary.csv"))


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-14 12:00:00 UTC",
        "2026-03-14 12:00:00 +0000 UTC",
        "2026/03/14 12:00:00",
        "03/14/2026 12:00:00 PM",
        "14/03/2026 12:00",
        "14.03.2026 12:00:00",
        "14/Mar/2026:13:00:00 +0100",
        '"Sat, 14 Mar 2026 12:00:00 GMT"',
        '"Mar 14, 2026, 12:00:00 PM"',
        "1773489600.000",
    ],
)
def test_times_are_read_as_they_are_written(written: str, tmp_path: Path) -> None:
    table = read(tmp_path, f"Timestamp (UTC),latency\n{written},7\n")
    assert list(table.frame["time"]) == [NOON]


def test_a_day_that_could_be_a_month_is_the_one_that_keeps_the_times_together(tmp_path: Path) -> None:
    days = "".join(f"{day:02}/03/2026 23:59:30,1\n" for day in (11, 12, 13))
    assert list(read(tmp_path, f"time,queue\n{days}").frame["time"].dt.month) == [3, 3, 3]


def test_a_date_and_a_clock_in_columns_of_their_own_are_one_time(tmp_path: Path) -> None:
    table = read(tmp_path, "Date,Time,jobs\n14.03.2026,12:00:00,3\n")
    assert list(table.frame["time"]) == [NOON]
    assert list(table.metrics) == ["jobs"]


@pytest.mark.parametrize(
    "header",
    [
        "Timestamp,MetricName,InstanceId,Average",
        "time_generated,counter_name,host.name,counter_value",
        "_time,_field,host,_value",
        "End Time,Metric Name,Pod Name,Metric Value",
    ],
)
def test_long_columns_are_known_by_their_usual_names(header: str, tmp_path: Path) -> None:
    table = read(tmp_path, f"{header}\n2026-03-14T12:00:00Z,heap_used,web-1,5\n")
    [row] = table.frame.itertuples()
    assert (row.metric, row.instance, row.value) == ("heap_used", "web-1", 5.0)


def test_lines_before_the_header_are_none(tmp_path: Path) -> None:
    table = read(tmp_path, "#group,false,false\n#datatype,string,double\ntime,wait\n2026-03-14T12:00:00Z,5\n")
    assert list(table.metrics) == ["wait"]
    assert list(read(tmp_path, 'sep=;\ntime;wait\n2026-03-14T12:00:00Z;"1,5"\n').frame["value"]) == [1.5]


def test_a_header_of_one_name_alone_is_refused_before_it_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"row 1 has the name 'wait' \d+ times or more"):
        read(tmp_path, "time" + ",wait" * 50_000 + "\n2026-03-14T12:00:00Z,5\n")
    assert len(read(tmp_path, "time,wait,wait\n2026-03-14T12:00:00Z,5,5\n").frame)


def test_units_in_cells_are_turned_into_one(tmp_path: Path) -> None:
    rows = "2026-03-14T12:00:00Z,850 ms,1.5 GiB,12.5 %\n2026-03-14T12:01:00Z,1.2 s,512 MiB,0 %\n"
    table = read(tmp_path, f"time,p95 (ms),heap,cpu\n{rows}")
    by_metric = {name: list(rows["value"]) for name, rows in table.frame.groupby("metric")}
    assert by_metric == {"p95 (ms)": [850, 1200], "heap": [1.5 * 1024**3, 512 * 1024**2], "cpu": [12.5, 0]}


def test_a_number_without_a_unit_beside_one_with_a_unit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"row 2: '900 ms' in column p95 is not a number"):
        read(tmp_path, "time,p95\n2026-03-14T12:00:00Z,0.7\n2026-03-14T12:01:00Z,900 ms\n2026-03-14T12:02:00Z,0.8\n")


def test_signs_for_nothing_are_nothing(tmp_path: Path) -> None:
    rows = "".join(f"2026-03-14T12:0{minute}:00Z,{cell}\n" for minute, cell in enumerate(('"1,250"', "-", "No data")))
    table = read(tmp_path, f"time,requests\n{rows}")
    assert table.frame["value"].tolist()[0] == 1250
    assert table.frame["value"].isna().sum() == 2


def test_a_status_in_a_column_makes_metrics_and_a_queue_groups(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "time,pod,queue,status,jobs\n"
        "2026-03-14T12:00:00Z,a,mail,200,9\n2026-03-14T12:00:00Z,a,mail,500,1\n"
        "2026-03-14T12:00:00Z,a,bill,200,4\n2026-03-14T12:00:00Z,a,bill,500,0\n",
    )
    assert sorted(table.metrics) == ['jobs{status="200"}', 'jobs{status="500"}']
    assert set(table.frame["group"]) == {"mail", "bill"}


def test_a_pod_is_an_instance_whoever_names_it(tmp_path: Path) -> None:
    rows = "".join(f"2026-03-14T12:00:00Z,web-{pod},{number}\n" for number, pod in enumerate("abc"))
    table = read(tmp_path, f"time,exported_pod,jobs\n{rows}")
    assert set(table.frame["instance"]) == {"web-a", "web-b", "web-c"}


@pytest.mark.parametrize("label", ["httpStatusCode", "event", "jobs.status", "success"])
def test_labels_that_say_what_is_counted_are_known_however_they_are_written(label: str, tmp_path: Path) -> None:
    values = {"event": ("done", "timeout"), "success": ("False", "True")}.get(label, ("200", "500"))
    rows = "".join(f"2026-03-14T12:00:00Z,a,{value},{number}\n" for number, value in enumerate(values))
    table = read(tmp_path, f"time,pod,{label},jobs\n{rows}")
    assert sorted(table.metrics) == [f'jobs{{{label}="{value}"}}' for value in values]


def test_a_text_that_tells_nothing_apart_stays_a_note(tmp_path: Path) -> None:
    table = read(tmp_path, "time,region,wait\n2026-03-14T12:00:00Z,eu,1\n2026-03-14T12:01:00Z,eu,2\n")
    assert list(table.metrics) == ["wait"]
    assert any("region holds text" in note for note in table.notes)


def _sides(directory: Path, **texts: str) -> dict[str, pd.DataFrame]:
    tables = {side: joined([read(directory, text)]) for side, text in texts.items()}
    found = sides_of(tables, {}, {})
    assert not any("holds text" in note for note in found.notes)
    return dict(found.frames)


def _named(frames: dict[str, pd.DataFrame]) -> dict[str, list[tuple[str, str]]]:
    """By side, the metrics with the instances that they are of."""
    pairs = {side: frame[["metric", "instance"]].drop_duplicates() for side, frame in frames.items()}
    return {side: sorted(zip(some["metric"], some["instance"], strict=True)) for side, some in pairs.items()}


def test_a_label_with_other_names_on_either_side_names_instances(tmp_path: Path) -> None:
    one = "time,placedOn,jobs\n2026-03-14T12:00:00Z,h2,5\n2026-03-14T12:01:00Z,h2,6\n"
    two = "time,placedOn,jobs\n2026-03-14T12:00:00Z,h1,4\n2026-03-14T12:00:00Z,h3,7\n"
    frames = _sides(tmp_path, canary=one, control=two)
    assert {side: sorted(frame["instance"].unique()) for side, frame in frames.items()} == {
        "canary": ["h2"],
        "control": ["h1", "h3"],
    }
    assert set(frames["control"]["group"]) == {""}


def test_a_label_with_the_same_names_on_both_sides_makes_groups(tmp_path: Path) -> None:
    text = "time,queue,jobs\n2026-03-14T12:00:00Z,mail,4\n2026-03-14T12:00:00Z,bill,7\n"
    frames = _sides(tmp_path, canary=text, control=text.replace(",4", ",5"))
    assert all(set(frame["group"]) == {"mail", "bill"} for frame in frames.values())


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ('jobs{pod="%s"}', "jobs"),
        ('jobs{queue="mail",pod_name="%s",zone="b"}', 'jobs{queue="mail",zone="b"}'),
        ("avg:app.jobs{host:%s}.as_count()", "avg:app.jobs.as_count()"),
    ],
)
def test_labels_in_names_tell_instances_apart(written: str, read_as: str, tmp_path: Path) -> None:
    def text(*names: str) -> str:
        header = ",".join('"' + (written % name).replace('"', '""') + '"' for name in names)
        return f"time,{header}\n2026-03-14T12:00:00Z,{','.join('47'[: len(names)])}\n"

    named = _named(_sides(tmp_path, canary=text("web-3"), control=text("web-1", "web-2")))
    assert named == {"canary": [(read_as, "web-3")], "control": [(read_as, "web-1"), (read_as, "web-2")]}


def test_the_part_that_all_names_have_for_themselves_is_the_instance(tmp_path: Path) -> None:
    def text(name: str) -> str:
        return f"time,shop.{name}.jobs,shop.{name}.p95\n2026-03-14T12:00:00Z,4,7\n"

    named = _named(_sides(tmp_path, canary=text("web2"), baseline=text("web1")))
    assert named["canary"] == [("shop.*.jobs", "web2"), ("shop.*.p95", "web2")]
    assert named["baseline"] == [("shop.*.jobs", "web1"), ("shop.*.p95", "web1")]


@pytest.mark.parametrize("canary", ["time,carts\n", "time,shop.carts\n", "time,shop.web2.jobs,pay.web1.p95\n"])
def test_other_metrics_are_no_instances(canary: str, tmp_path: Path) -> None:
    control = "time,shop.web1.jobs,shop.web1.p95\n2026-03-14T12:00:00Z,4,7\n"
    row = "2026-03-14T12:00:00Z" + ",4" * canary.count(",") + "\n"
    frames = _sides(tmp_path, canary=canary + row, control=control)
    assert sorted(frames["canary"]["metric"]) == sorted(canary.strip().split(",")[1:])


@pytest.mark.parametrize("column", ["Label", "name", "measurement"])
def test_names_of_metrics_are_known_by_what_they_say(column: str, tmp_path: Path) -> None:
    rows = ("2026-03-14T12:00:00Z,RequestCount,9", "2026-03-14T12:00:00Z,TargetResponseTime,0.2")
    table = read(tmp_path, "\n".join((f"Timestamp,{column},Value", *rows, "")))
    assert sorted(table.metrics) == ["RequestCount", "TargetResponseTime"]
    table = read(tmp_path, f"time,{column},value\n2026-03-14T12:00:00Z,web-1,9\n2026-03-14T12:00:00Z,web-2,7\n")
    assert (table.metrics, set(table.frame["group"])) == (["value"], {"web-1", "web-2"})
