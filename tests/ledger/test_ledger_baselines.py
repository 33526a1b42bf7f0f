"""Which deployments a canary is compared with: the pipeline's choice, and a person's above it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_cd.errors import LedgerError
from airflow_cd.ledger import Deployment, Ledger
from tests.ledger.ledger_runs import Clock, Run, shop


@pytest.fixture
def deploy(run: Callable[..., Run], ledger: Ledger, clock: Clock) -> Callable[..., Deployment]:
    """Deploy a version with two phases, each with a profile that is the version's name."""

    def deploy(version: str, *, good: bool = True, teaches: bool = True) -> Deployment:
        clock.forward(minutes=1)
        it = run(f"run-{clock.time}")
        deployment = it.open(shop(version))
        for phase in ("phase_20", "phase_100"):
            ledger.profiles.save(
                deployment.id,
                phase,
                "sumo",
                kind="logs",
                content=f"{version} {phase}".encode(),
                teaches=teaches,
                token=it.token,
            )
        if good:
            deployment = ledger.settlement.promote(deployment.id, token=it.token, outcome="")
        else:
            ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="4 unknown events")
            deployment = ledger.settlement.finish_rollback(
                deployment.id, token=it.token, restored=True, outcome="4 unknown events"
            )
        it.release()
        clock.forward(minutes=1)
        return deployment

    return deploy


def versions(ledger: Ledger, choice: str = "all", limit: int = 20) -> list[str]:
    found = ledger.profiles.taught("shop", "production", "sumo", kind="logs", choice=choice, limit=limit)
    assert all(profile.content.decode() == f"{profile.version} {profile.phase}" for profile in found)
    assert len(found) == 2 * len({profile.deployment_id for profile in found})
    return list(dict.fromkeys(profile.version for profile in found))


def test_who_taught_is_known_without_reading_what(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    first = deploy("1.0")
    deploy("1.1", good=False)
    deploy("1.2", teaches=False)
    last = deploy("1.3")
    assert list(ledger.profiles.teachers("shop", "production").items()) == [(last.id, "1.3"), (first.id, "1.0")]
    assert list(ledger.profiles.teachers("shop", "production", limit=1)) == [last.id]
    assert ledger.profiles.teachers("shop", "staging") == {}


def test_a_pipeline_chooses_among_the_good_ones(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    first = deploy("1.0")
    deploy("1.1")
    bad = deploy("1.2", good=False)
    deploy("1.3")
    assert versions(ledger) == ["1.3", "1.1", "1.0"]
    assert versions(ledger, limit=2) == ["1.3", "1.1"]
    assert versions(ledger, "previous") == ["1.3"]
    assert versions(ledger, "control") == []
    assert versions(ledger, "1.1") == ["1.1"]
    assert versions(ledger, first.id) == ["1.0"]
    for pinned in ("1.2", bad.id):
        with pytest.raises(LedgerError, match=r"rolled back, not promoted.*baseline list shop production"):
            versions(ledger, pinned)
    with pytest.raises(LedgerError, match=r"9\.9 was never deployed here"):
        versions(ledger, "9.9")


def test_the_newest_of_a_version_is_meant(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    deploy("1.0")
    again = deploy("1.0")
    found = ledger.profiles.taught("shop", "production", "sumo", kind="logs", choice="1.0")
    assert {profile.deployment_id for profile in found} == {again.id}


def test_a_pinned_one_that_taught_nothing_is_no_silent_fallback(
    deploy: Callable[..., Deployment], ledger: Ledger
) -> None:
    deploy("1.0")
    deploy("1.1", teaches=False)
    with pytest.raises(LedgerError, match=r"1\.1 has taught nothing about sumo"):
        versions(ledger, "1.1")
    assert versions(ledger, "previous") == ["1.0"]


def test_a_persons_pin_outranks_the_pipeline_until_it_is_undone(
    deploy: Callable[..., Deployment], ledger: Ledger, clock: Clock
) -> None:
    first = deploy("1.0")
    deploy("1.1")
    pinned = ledger.baselines.pin("shop", "production", "1.0", who="ada", why="1.1 logs too much")
    assert (pinned.choice, pinned.who, pinned.why, pinned.at) == (first.id, "ada", "1.1 logs too much", clock.time)
    deploy("1.0")
    for choice in ("all", "previous", "control", "1.1"):
        found = ledger.profiles.taught("shop", "production", "sumo", kind="logs", choice=choice)
        assert {profile.deployment_id for profile in found} == {first.id}
    assert ledger.baselines.choice("shop", "production") == pinned
    assert ledger.baselines.choice("shop", "staging") is None
    ledger.baselines.pin("shop", "production", "control", who="bob", why="a try")
    assert versions(ledger) == []
    ledger.baselines.undo("shop", "production", who="bob", why="no good")
    assert versions(ledger) == ["1.0"]
    ledger.baselines.undo("shop", "production", who="ada", why="1.1 is mended")
    assert versions(ledger) == ["1.0", "1.1"]
    assert ledger.baselines.choice("shop", "production") is None
    history = ledger.baselines.history("shop", "production")
    assert [(row.action, row.who, row.undone) for row in history] == [
        ("undo", "ada", False),
        ("undo", "bob", False),
        ("pin", "bob", True),
        ("pin", "ada", True),
    ]
    assert [action.action for action in ledger.audit.actions()][:2] == ["undo baseline", "undo baseline"]


def test_a_reset_leaves_out_what_was_taught_before(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    deploy("1.0")
    ledger.baselines.pin("shop", "production", "1.0", who="ada", why="well known")
    ledger.baselines.reset("shop", "production", who="bob", why="all log lines have changed")
    assert versions(ledger) == []
    assert versions(ledger, "previous") == []
    with pytest.raises(LedgerError, match=r"bob reset the baseline .*all log lines have changed.*1\.0 is from before"):
        versions(ledger, "1.0")
    deploy("2.0")
    deploy("2.1")
    assert versions(ledger) == ["2.1", "2.0"]
    assert versions(ledger, "2.0") == ["2.0"]
    ledger.baselines.pin("shop", "production", "all", who="ada", why="whatever the pipeline says")
    assert versions(ledger, "previous") == ["2.1", "2.0"]
    ledger.baselines.pin("shop", "production", "1.0", who="ada", why="back to what is known")
    assert versions(ledger) == ["1.0"]
    for _ in range(3):
        ledger.baselines.undo("shop", "production", who="ada", why="as it was")
    assert versions(ledger, "previous") == ["1.0"]


def test_what_cannot_be_is_refused(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    deploy("1.0", good=False)
    with pytest.raises(LedgerError, match="no such deployment of shop was promoted here"):
        ledger.baselines.pin("shop", "production", "1.0", who="ada", why="it is good")
    with pytest.raises(LedgerError, match="did you mean 'previous'"):
        ledger.baselines.pin("shop", "production", "Previous", who="ada", why="it is good")
    for change in (
        lambda: ledger.baselines.pin("shop", "production", "all", who="ada", why=""),
        lambda: ledger.baselines.reset("shop", "production", who="ada", why=" "),
    ):
        with pytest.raises(LedgerError, match="changing a baseline requires a reason"):
            change()
    with pytest.raises(LedgerError, match="nobody has pinned or reset"):
        ledger.baselines.undo("shop", "production", who="ada", why="as it was")
    assert ledger.baselines.history("shop", "production") == []
    assert ledger.audit.actions() == []


def test_what_a_rolled_back_deployment_showed_is_kept_too(deploy: Callable[..., Deployment], ledger: Ledger) -> None:
    bad = deploy("1.0", good=False, teaches=False)
    found = ledger.profiles.of(bad.id)
    assert [(profile.phase, profile.source, profile.kind, profile.teaches) for profile in found] == [
        ("phase_20", "sumo", "logs", False),
        ("phase_100", "sumo", "logs", False),
    ]
    assert found[0].content == b"1.0 phase_20"
