"""What ``airflow-cd target check`` says of an environment before anything is deployed to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_cd import targets
from airflow_cd.cli import main
from airflow_cd.errors import ArtifactNotFound, TargetRejected, TargetUnavailable
from airflow_cd.instances import FAILED, Instance, Track
from airflow_cd.release import Release
from airflow_cd.targets import examination
from airflow_cd.targets.examination import Finding, examine
from tests.replica_target import ReplicaMemory
from tests.revision_target import RevisionMemory

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
ONE = Instance("web-1", "1.0", "web:1.0", {"limit": 5}, started=NOW)
TWO = replace(ONE, name="web-2")


class Environment:
    """A target that only answers."""

    has = ("web:1.0",)

    def __init__(self, *instances: Instance) -> None:
        self.listed = list(instances)
        self.changed: list[str] = []

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> Environment:
        return cls(ONE, TWO)

    def instances(self) -> list[Instance]:
        return self.listed

    def check(self, release: Release) -> None:
        if release.artifact not in self.has:
            raise ArtifactNotFound(f"there is no {release.artifact}.")

    def deploy(self, *_: object, **__: object) -> None:
        self.changed.append("deploy")

    drain = restore = deploy


def found(target: Any) -> list[Finding]:
    return list(examine(target))


def wrong(target: Any) -> list[str]:
    return [finding.text for finding in found(target) if finding.wrong]


def test_an_environment_in_order_has_nothing_wrong_and_is_not_changed() -> None:
    target = Environment(ONE, TWO)
    assert wrong(target) == []
    texts = " ".join(finding.text for finding in found(target))
    assert "2 instances" in texts
    assert "web:1.0-airflow-cd-check is found not to exist" in texts
    assert target.changed == []


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        ([], "0 instances"),
        ([TWO, ONE], "not sorted"),
        ([ONE, ONE], "not unique"),
        ([ONE, replace(TWO, health=FAILED, message="exited with code 3")], "web-2 is failed: exited with code 3"),
        ([ONE, replace(TWO, health="fine")], "no health that is known"),
        ([ONE, replace(TWO, drained=True)], "web-2 gets no traffic"),
        ([ONE, replace(TWO, configuration={"limit": 6})], "run several releases"),
        ([ONE, replace(TWO, artifact="web:0.9")], "could not be deployed again: there is no web:0.9"),
    ],
)
def test_what_would_fail_is_said(instances: list[Instance], words: str) -> None:
    assert any(words in text for text in wrong(Environment(*instances)))


@pytest.mark.parametrize(
    ("instances", "words"),
    [([ONE], "single instance"), ([ONE, replace(TWO, started=None)], "web-2 does not say since when")],
)
def test_what_only_has_to_be_known_is_not_wrong(instances: list[Instance], words: str) -> None:
    assert any(words in finding.text and not finding.wrong for finding in found(Environment(*instances)))


def test_a_target_that_finds_every_artifact_would_find_out_on_the_instances() -> None:
    class Credulous(Environment):
        def check(self, release: Release) -> None:
            return

    assert any("is said to exist" in text for text in wrong(Credulous(ONE, TWO)))


def test_one_that_cannot_be_read_or_is_specified_wrongly_is_asked_no_further() -> None:
    class Away(Environment):
        def instances(self) -> list[Instance]:
            raise TargetUnavailable("nobody answers.", next_step="Start it.")

    class Misspelt(Away):
        def mistakes(self) -> list[str]:
            return ["needs an environment"]

    assert wrong(Away()) == ["What runs cannot be read: nobody answers. Start it."]
    assert wrong(Misspelt()) == ["needs an environment."]


def test_what_only_the_first_reading_takes_is_not_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Importing(Environment):
        def instances(self) -> list[Instance]:
            clock[0] += 12.0 if clock[0] == 0.0 else 0.5
            return self.listed

    monkeypatch.setattr(examination.time, "monotonic", lambda: clock[0])
    found = [finding.text for finding in examine(Importing(ONE, TWO), "shop")]
    assert any("read in 0.50 s" in text for text in found)
    assert not any("slow" in text for text in found)


def test_a_registry_that_is_away_is_not_the_environments_fault() -> None:
    class Offline(Environment):
        def check(self, release: Release) -> None:
            if release.artifact not in self.has:
                raise TargetUnavailable("the registry does not answer.")

    assert wrong(Offline(ONE, TWO)) == []


def test_notes_of_the_target_itself_are_shown() -> None:
    class Noted(Environment):
        def notes(self) -> list[str]:
            return ["there is no router."]

    assert found(Noted(ONE, TWO))[-1] == Finding("there is no router.")


# -- the command ---------------------------------------------------------------------------------------------------


def test_the_command_says_it_and_exits_accordingly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(targets.BUILT_IN, "quiet", Environment)
    assert main(["target", "check", "quiet_production"]) == 0
    assert "production: nothing that would fail was found." in capsys.readouterr().out

    class Broken(Environment):
        def instances(self) -> list[Instance]:
            raise TargetRejected("there is no such environment.")

    monkeypatch.setattr(Environment, "from_connection", lambda conn_id, environment: Broken())
    assert main(["target", "check", "quiet_production", "--deploy", "web:1.0", "web:1.1"]) == 1
    said = capsys.readouterr().out
    assert "WRONG  What runs cannot be read: there is no such environment." in said
    assert "Nothing was deployed" in said


def test_an_unknown_kind_is_an_error_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["target", "check", "carrier_pigeon"]) == 3
    assert "unknown kind 'carrier'" in capsys.readouterr().err


def test_what_replicas_do_otherwise_is_not_wrong() -> None:
    target = ReplicaMemory(Release("web", "1.0", "web:1.0"), 1)
    texts = [finding.text for finding in found(target)]
    assert wrong(target) == []
    assert "Whether an artifact exists, the first replica of a canary finds out, within seconds." in texts
    assert not [text for text in texts if "single instance" in text]


def test_the_whole_contract_of_replicas_is_tried_and_what_ran_is_brought_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = Release("service", "0.9", "web:0.9", {"limit": 5})
    target = ReplicaMemory(ran, 3)
    target.broken.add("web:1.0-missing")
    monkeypatch.setattr(targets, "resolve_target", lambda connection, environment: target)
    command = ["target", "check", "memory_web", "--deploy", "web:1.0", "web:1.1", "--timeout", "0.3"]
    assert main(command) == 0, capsys.readouterr().out
    assert all(one.runs(ran) and one.track == Track.STABLE for one in target.instances())
    assert "What ran before runs again." in capsys.readouterr().out


def test_the_whole_contract_of_revisions_is_tried_and_what_served_serves_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = RevisionMemory(Release("service", "0.9", "web:0.9", {"limit": 5}))
    target.missing.add("web:1.0-missing")
    monkeypatch.setattr(targets, "resolve_target", lambda connection, environment: target)
    command = ["target", "check", "memory_web", "--deploy", "web:1.0", "web:1.1", "--timeout", "0.3"]
    assert main(command) == 0, capsys.readouterr().out
    assert [(one.name, one.track, one.weight) for one in target.instances()] == [("r1", Track.STABLE, 100)]
    said = capsys.readouterr().out
    assert "What ran before runs again." in said
