"""Results of test runs as the tools write them: dbt, Great Expectations, and JUnit's XML, which most others write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from airflow_cd.http.json_values import list_of, object_of

_PASSED = ("pass", "success", "warn", "ok")
_NOT_RUN = ("skipped", "no-op", "reused", "")
_BROKEN = ("errors", "error", "errored", "broken", "crashed", "timed_out")
"""What else a summary may call tests that did not pass."""
_DECLARED = re.compile(rb"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
_LONGEST = 200
_MOST_STATED = 1000


@dataclass(frozen=True)
class Check:
    """One test that ran.

    :param name: of the test.
    :param failed: whether it failed.
    :param said: why, ``""`` where nothing was said.
    """

    name: str
    failed: bool
    said: str = ""


class UnknownFormat(ValueError):
    """Nobody knows this form; what was found instead is the text."""


def checks_of(content: Any) -> list[Check]:
    """The tests that ran, by what a tool wrote of them; what was skipped did not run.

    Known are dbt's ``run_results.json``, results of Great Expectations (of a validation or a checkpoint, before and
    since 1.0), JUnit's XML, and ``{"passed": 118, "failed": 2}``.

    :param content: as text or bytes of a file, or what a task returned.
    :raises UnknownFormat: it is none of these.
    """
    if isinstance(content, (bytes, str)):
        content = _parsed(content.encode() if isinstance(content, str) else content)
    if isinstance(content, ET.Element):
        return list(_of_junit(content))
    found = object_of(content)
    if {"passed", "failed"} <= found.keys():
        return list(_of_numbers(found))
    if "run_results" in found:
        results = object_of(found["run_results"]).values()
        checks = [check for one in results for check in _of_expectations(object_of(one))]
        return [*checks, *_of_the_whole(found, checks)]
    rows = found.get("results")
    if isinstance(rows, list) and "success" in found:
        checks = list(_of_expectations(found))
        return [*checks, *_of_the_whole(found, checks)]
    if isinstance(rows, list) and all("unique_id" in object_of(one) for one in rows):
        return list(_of_dbt(rows))
    names = ", ".join(map(str, list(found)[:8]))
    raise UnknownFormat(f"an object of {names}" if found else f"{type(content).__name__}")


def _parsed(content: bytes) -> Any:
    if content.lstrip().startswith(b"<"):
        if _DECLARED.search(content):
            raise UnknownFormat("XML that declares entities")
        try:
            return ET.fromstring(content)  # noqa: S314 - entities are refused above
        except ET.ParseError as error:
            raise UnknownFormat(f"XML that ends or is broken: {error}") from None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UnknownFormat("neither JSON nor XML") from None


def _of_numbers(found: Mapping[str, Any]) -> Iterator[Check]:
    broken = [(name, True) for name in _BROKEN if found.get(name)]
    for name, failed in (("failed", True), *broken, ("passed", False)):
        number = found[name]
        if name in _BROKEN and isinstance(number, (list, str)):  # what went wrong, instead of how often
            number = len(number) if isinstance(number, list) else 1
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 1_000_000:
            raise UnknownFormat(f"{name} of {number!r}")
        yield from (Check(f"{name} {one + 1}", failed) for one in range(number))


def _of_dbt(rows: list[Any]) -> Iterator[Check]:
    for row in map(object_of, rows):
        status = str(row.get("status") or "").lower()
        if status in _NOT_RUN:
            continue  # one before it failed, perhaps
        failures = row.get("failures")
        said = str(row.get("message") or (f"{failures} rows" if failures else ""))
        yield Check(str(row["unique_id"]), status not in _PASSED, _short(said or status))


def _of_expectations(found: Mapping[str, Any]) -> Iterator[Check]:
    found = object_of(found.get("validation_result")) or found
    for row in map(object_of, list_of(found.get("results"))):
        config = object_of(row.get("expectation_config"))
        arguments = object_of(config.get("kwargs"))
        kind = str(config.get("expectation_type") or config.get("type") or "expectation")
        column = arguments.get("column") or arguments.get("column_A") or ""
        yield Check(f"{kind}({column})", row.get("success") is not True, _short(_unexpected(row)))


def _of_the_whole(found: Mapping[str, Any], checks: Iterable[Check]) -> Iterator[Check]:
    """That a validation failed of which no expectation did: it could not be carried out."""
    if found.get("success") is False and not any(check.failed for check in checks):
        yield Check("validation", True, _short(_unexpected(found) or "it failed, and none of its expectations"))


def _unexpected(row: Mapping[str, Any]) -> str:
    result, raised = object_of(row.get("result")), object_of(row.get("exception_info"))
    if raised.get("raised_exception"):
        return str(raised.get("exception_message") or "it raised an exception")
    if result.get("unexpected_count") is not None:
        return f"{result['unexpected_count']} of {result.get('element_count', '?')} rows"
    return f"observed {result['observed_value']}" if "observed_value" in result else ""


def _of_junit(root: ET.Element) -> Iterator[Check]:
    if root.tag not in ("testsuites", "testsuite"):
        raise UnknownFormat(f"XML of {root.tag}")
    for case in root.iter("testcase"):
        if case.find("skipped") is not None:
            continue
        trouble = next((one for tag in ("failure", "error") if (one := case.find(tag)) is not None), None)
        name = ".".join(part for part in (case.get("classname"), case.get("name")) if part)
        said = (trouble.get("message") or trouble.text or "") if trouble is not None else ""
        yield Check(name, trouble is not None, _short(said))
    for suite in root.iter("testsuite"):
        yield from _besides_cases(suite)


def _besides_cases(suite: ET.Element) -> Iterator[Check]:
    """What went wrong in a suite and in none of its tests, as a preparation does."""
    if suite.find("testsuite") is not None:
        return  # whose numbers are among its own
    own = [one for tag in ("failure", "error") for one in suite.findall(tag)]
    cases = sum(
        case.find("failure") is not None or case.find("error") is not None for case in suite.findall("testcase")
    )
    stated = sum(int(text) for name in ("failures", "errors") if (text := suite.get(name) or "").isdigit())
    name = suite.get("name") or "suite"
    yield from (Check(name, True, _short(one.get("message") or one.text or "")) for one in own)
    for _ in range(min(stated - cases - len(own), _MOST_STATED)):
        yield Check(name, True, "the suite states more failures and errors than its tests have")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
