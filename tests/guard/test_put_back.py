"""What runs again after its rollback, or in the place of what was promoted: told to a person, and nothing is done."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from airflow_cd.errors import TargetUnavailable
from airflow_cd.guard.put_back import PROMOTED_EVERY, run_again, run_instead
from airflow_cd.instances import Instance
from airflow_cd.release import Release
from airflow_cd.states import FindingState, StuckCause
from tests.guard.scene import GOES_ON, Scene
from tests.memory_target import MemoryTarget
from tests.operators.world import NAMES, NEW, OLD

FIRST = NAMES[0]


@pytest.fixture
def rolled_back(scene: Scene) -> Scene:
    """The run has rolled 1.2 back and has let the environment go."""
    scene.deployed()
    scene.between_tasks()
    scene.delivery().roll_back("it errs")
    scene.delivery().settle()
    scene.run_is(state="failed")
    scene.pass_by(72)
    assert scene.pages == []
    scene.target.calls.clear()
    return scene


def put_back(scene: Scene, *names: str, release: Release = NEW) -> None:
    """Somebody gives instances a release, past everybody."""
    scene.target.state |= {name: MemoryTarget([name], release).state[name] for name in names or NAMES}


def told(scene: Scene) -> list[str]:
    return [one.detail for one in scene.ledger.guarding.put_back("shop", "production")]


def test_a_person_is_told_once_and_nothing_is_done(rolled_back: Scene) -> None:
    put_back(rolled_back, FIRST)
    rolled_back.pass_by(200, every=10)
    (page,) = rolled_back.pages
    assert f"In production {NEW} runs again on {FIRST}: it was rolled back here" in page
    assert told(rolled_back) == [page.partition("In production ")[2].partition(". Nothing")[0]]
    assert rolled_back.target.calls == []
    recorded = rolled_back.ledger.instances.running("shop", "production")
    assert {one.instance.name for one in recorded if one.instance.runs(NEW)} == {FIRST}


def test_who_it_was_is_said_where_the_target_says_it(rolled_back: Scene) -> None:
    rolled_back.target.changed_by = lambda: "Deployment web was given shop:1.2 by argo"  # type: ignore[attr-defined]
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert "since (Deployment web was given shop:1.2 by argo). Nothing was changed" in rolled_back.pages[0]
    assert "and 2 more" in rolled_back.pages[0]


def test_what_comes_a_second_time_is_told_a_second_time(rolled_back: Scene) -> None:
    put_back(rolled_back)
    rolled_back.pass_by(72)
    put_back(rolled_back, release=OLD)
    rolled_back.pass_by(72)
    assert told(rolled_back) == []
    (finding,) = [one for one in rolled_back.findings() if one.cause is StuckCause.PUT_BACK]
    assert (finding.state, finding.outcome) == (FindingState.OVER, "It does not run there any more.")
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert len(rolled_back.pages) == 2


def test_an_environment_is_read_once_in_a_minute(rolled_back: Scene) -> None:
    reads = []
    read = rolled_back.target.instances

    def counted() -> list[Instance]:
        reads.append(rolled_back.now)
        return read()

    rolled_back.target.instances = counted  # type: ignore[method-assign]
    put_back(rolled_back)
    rolled_back.pass_by(320, every=10)
    assert 4 <= len(reads) <= 5
    assert min(after - before for before, after in itertools.pairwise(reads)) >= 60


def test_what_a_person_has_allowed_again_is_told_to_nobody(rolled_back: Scene) -> None:
    veto = rolled_back.ledger.vetoes.of("shop", "production")[0]
    rolled_back.ledger.vetoes.lift("shop", "production", veto.digest, who="ada", why="it was the database")
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert rolled_back.pages == [], "a person has allowed it"


def test_it_is_over_when_a_person_allows_it(rolled_back: Scene) -> None:
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert told(rolled_back)
    veto = rolled_back.ledger.vetoes.of("shop", "production")[0]
    rolled_back.ledger.vetoes.lift("shop", "production", veto.digest, who="ada", why="it was the database")
    rolled_back.pass_by(72)
    assert told(rolled_back) == []


def test_what_is_read_while_a_run_begins_is_not_told(rolled_back: Scene) -> None:
    rolled_back.runs["shop", "run-2"] = GOES_ON
    read = rolled_back.target.instances

    def as_a_run_begins() -> list[Instance]:
        rolled_back.target.instances = read  # type: ignore[method-assign]
        rolled_back.delivery("run-2").acquire()
        put_back(rolled_back)
        return read()

    rolled_back.target.instances = as_a_run_begins  # type: ignore[method-assign]
    rolled_back.pass_by(64)
    assert rolled_back.pages == []
    assert told(rolled_back) == []


def test_another_deployment_ends_it(rolled_back: Scene) -> None:
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert told(rolled_back)
    delivery = rolled_back.delivery("run-2")
    delivery.deploy(Release("shop", "1.3", "shop:1.3", {}), phase="all", share=100)
    delivery.promote("verified")
    delivery.settle()
    rolled_back.pass_by(20)
    assert told(rolled_back) == []


def test_a_target_that_does_not_answer_is_asked_again_and_nobody_is_told(rolled_back: Scene) -> None:
    def away() -> str:
        raise TargetUnavailable("the cluster does not answer.")

    rolled_back.target.changed_by = away  # type: ignore[attr-defined]
    rolled_back.target.away = True
    put_back(rolled_back)
    rolled_back.pass_by(72)
    assert rolled_back.pages == []
    rolled_back.target.away = False
    rolled_back.pass_by(72)
    assert len(rolled_back.pages) == 1


def test_what_a_rollback_of_a_promoted_release_has_taken_back_is_watched_too(scene: Scene) -> None:
    first = scene.delivery()
    first.deploy(NEW, phase="all", share=100)
    first.promote("verified")
    first.settle()
    back = scene.delivery("run-2")
    back.roll_back_to(OLD, "it errs", who="ada")
    scene.ledger.work.end(scene.at_work("production.rollback", "run-2"))
    back.settle()
    put_back(scene)
    scene.pass_by(72)
    assert len(scene.pages) == 1


def test_another_guard_does_not_tell_it_again(rolled_back: Scene) -> None:
    put_back(rolled_back)
    rolled_back.pass_by(72)
    rolled_back.guard.close()
    rolled_back.pass_by(120, guard=rolled_back.another_guard("second"))
    assert len(rolled_back.pages) == 1


def test_an_artifact_that_is_put_back_without_its_configuration_is_known() -> None:
    one = Instance("a", "1.2", NEW.artifact, {})
    assert run_again([one], [NEW], instead_of=OLD) == [(NEW, ["a"])]
    assert run_again([one], [NEW], instead_of=None) == [(NEW, ["a"])]
    same = replace(NEW, artifact=OLD.artifact)
    there = replace(one, artifact=OLD.artifact)
    assert run_again([there], [same], instead_of=OLD) == [], "the good artifact is bad by its configuration alone"
    assert run_again([replace(there, configuration=NEW.configuration)], [same], instead_of=OLD) == [(same, ["a"])]
    worse = replace(NEW, configuration={"limit": 0})
    both = [one, replace(one, name="b", configuration=worse.configuration)]
    assert run_again(both, [NEW, worse], instead_of=OLD) == [(NEW, ["a"]), (worse, ["b"])]


# -- what was promoted -------------------------------------------------------------------------------------------------


@pytest.fixture
def promoted(scene: Scene) -> Scene:
    """The run has promoted 1.2, and has let the environment go."""
    scene.ledger.work.end(scene.at_work("production.promote"))
    mine = scene.delivery()
    mine.deploy(NEW, phase="all", share=100)
    mine.promote("verified")
    mine.settle()
    scene.run_is(state="success")
    scene.pass_by(PROMOTED_EVERY + 72, every=10)
    assert scene.pages == []
    scene.target.calls.clear()
    return scene


def test_an_old_release_that_is_put_back_over_a_promoted_one_is_told_once(promoted: Scene) -> None:
    promoted.target.changed_by = lambda: "Deployment web was given shop:1.1 by kubectl-rollout"  # type: ignore[attr-defined]
    put_back(promoted, FIRST, release=OLD)
    promoted.pass_by(2 * PROMOTED_EVERY, every=10)
    (page,) = promoted.pages
    assert f"In production {OLD} runs on {FIRST}, in the place of {NEW}, which was promoted here" in page
    assert "since (Deployment web was given shop:1.1 by kubectl-rollout). Nothing was changed" in page
    assert f"if not, deploy {NEW} again" in page
    assert promoted.target.calls == []
    (finding,) = promoted.findings()
    assert finding.cause is StuckCause.REPLACED
    put_back(promoted, release=NEW)
    promoted.pass_by(PROMOTED_EVERY + 12, every=10)
    assert told(promoted) == []


def test_what_a_run_deploys_over_a_promoted_release_is_told_to_nobody(promoted: Scene) -> None:
    later = promoted.delivery("run-2")
    later.deploy(OLD, phase="all", share=100)
    promoted.runs["shop", "run-2"] = GOES_ON
    promoted.pass_by(PROMOTED_EVERY + 72, every=10, beats=promoted.at_work("production.verify", "run-2"))
    assert promoted.pages == []


def test_a_promoted_environment_is_read_less_often(promoted: Scene) -> None:
    reads, read = [], promoted.target.instances

    def counted() -> list[Instance]:
        reads.append(promoted.now)
        return read()

    promoted.target.instances = counted  # type: ignore[method-assign]
    promoted.pass_by(3 * PROMOTED_EVERY, every=10)
    assert 2 <= len(reads) <= 3


def test_what_runs_in_the_place_of_what_was_promoted_is_called_by_its_version() -> None:
    def of(*instances: Instance) -> list[tuple[str, list[str]]]:
        return [(release.version, names) for release, names in run_instead(instances, NEW, [NEW, OLD])]

    good = Instance("a", "1.2", NEW.artifact, NEW.configuration)
    assert of(good, Instance("b", None, None)) == []
    assert of(good, Instance("b", None, OLD.artifact, {})) == [("1.1", ["b"])], "without its configuration, too"
    assert of(Instance("a", "9.9", "shop:9.9"), Instance("b", "9.9", "shop:9.9")) == [("9.9", ["a", "b"])]
    # Another configuration alone is told where it is an earlier release's: nobody else has deployed that.
    assert of(replace(good, configuration={"limit": 6})) == []
    same = replace(OLD, artifact=NEW.artifact)
    assert run_instead([replace(good, configuration=OLD.configuration)], NEW, [NEW, same]) == [(same, ["a"])]
