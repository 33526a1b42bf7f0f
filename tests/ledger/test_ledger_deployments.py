"""Deployments: opened once, never backwards, ended once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_cd.errors import DeploymentSettled, LeaseLost, LedgerError, ReleaseError, ReleaseVetoed
from airflow_cd.ledger import Deployment, Ledger
from tests.ledger.ledger_runs import Clock, Run, shop

GOOD = shop("1.0.0", workers=4)
BAD = shop("1.2.0", workers=4, ratio=0.1, big=2**70, tiny=1e-300)


def test_what_is_recorded_comes_back_whole(run: Any, ledger: Ledger, clock: Clock) -> None:
    it: Run = run()
    deployment = it.open(BAD, previous={"web-1": GOOD, "web-2": None}, reason="hotfix ✓", learn=True)
    read = ledger.deployments.get(deployment.id)
    assert read == deployment
    assert read.release.configuration == BAD.configuration
    assert read.release.version == "1.2.0"
    assert dict(read.previous) == {"web-1": GOOD, "web-2": None}
    assert (read.state, read.reason, read.triggered_by, read.rollback, read.learn) == (
        "running",
        "hotfix ✓",
        "ada",
        "automatic",
        True,
    )
    assert read.token == it.token
    assert read.opened_at == read.requested_at == clock.time
    assert read.opened_at.utcoffset() == timedelta(0)
    assert read.opened_at.microsecond == 123456
    assert (read.settled_at, read.outcome, read.to_verdict, read.to_safe, read.to_restored) == (
        None,
        "",
        None,
        None,
        None,
    )


def test_opening_again_gives_the_same_deployment_and_what_was_captured_first(run: Any) -> None:
    first = run().open(BAD, previous={"web-1": GOOD})
    again = run()
    again.overrule()
    second = again.open(BAD, previous={"web-1": BAD}, reason="other")
    assert second.id == first.id
    assert dict(second.previous) == {"web-1": GOOD}
    assert second.reason == first.reason
    assert second.token == again.token > first.token


def test_a_run_cannot_turn_to_another_release(run: Any) -> None:
    run().open(BAD)
    with pytest.raises(DeploymentSettled, match=r"deploys shop 1\.2\.0 .* cannot switch to shop 1\.3\.0"):
        run().open(shop("1.3.0"))


def test_nothing_opens_under_a_void_lease(run: Any, ledger: Ledger) -> None:
    zombie = run()
    zombie.acquire()
    run().overrule()
    with pytest.raises(LeaseLost):
        zombie.open(BAD)
    assert ledger.deployments.matching() == []


def test_rollback_is_one_of_two_words(run: Any) -> None:
    with pytest.raises(LedgerError, match="automatic, human"):
        run().open(BAD, rollback="maybe")


def test_a_release_that_would_not_come_back_as_it_went_in_is_refused(run: Any, ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="cannot be stored"):
        run().open(shop("1.0.0", motd="a\x00b"))
    assert ledger.deployments.matching() == []


def test_a_record_that_was_tampered_with_is_not_restored(run: Any, ledger: Ledger) -> None:
    deployment = run().open(BAD)
    with ledger.engine.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE cd_deployment SET release = replace(CAST(release AS TEXT), '4', '5')"
                if ledger.engine.dialect.name == "sqlite"
                else "UPDATE cd_deployment SET release = replace(release::text, '4', '5')::json"
            )
        )
    with pytest.raises(ReleaseError, match="does not have the digest"):
        ledger.deployments.get(deployment.id)


def test_an_unknown_deployment_is_named(ledger: Ledger, run: Any) -> None:
    assert ledger.deployments.of_run("storefront", "run-1", "shop", "production") is None
    with pytest.raises(LedgerError, match="no deployment 'nowhere'"):
        ledger.deployments.get("nowhere")
    lease = run().acquire()
    with pytest.raises(LedgerError, match="no deployment 'nowhere'"):
        ledger.settlement.promote("nowhere", token=lease.token, outcome="")


def test_promoting_settles_and_may_be_repeated(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(GOOD)
    at = clock.forward(minutes=1)
    done = ledger.settlement.promote(deployment.id, token=it.token, outcome="4 of 4 phases passed")
    clock.forward(minutes=1)
    again = ledger.settlement.promote(deployment.id, token=it.token, outcome="other")
    assert done == again == ledger.deployments.last_promoted("shop", "production")
    assert (done.state, done.settled_at, done.outcome) == ("promoted", at, "4 of 4 phases passed")


def test_never_do_promote_and_rollback_both_happen(run: Any, ledger: Ledger) -> None:
    promoted, rolled = run("run-1"), run("run-2")
    good = promoted.promoted(GOOD)
    lease = promoted.acquire()
    with pytest.raises(DeploymentSettled, match=r"by run run-1 is promoted \(all good\)"):
        ledger.settlement.begin_rollback(good.id, token=lease.token, outcome="late")
    with pytest.raises(DeploymentSettled, match="is promoted"):
        ledger.settlement.finish_rollback(good.id, token=lease.token, restored=True, outcome="late")
    promoted.release()
    bad = rolled.open(BAD)
    ledger.settlement.begin_rollback(bad.id, token=rolled.token, outcome="4 unknown events")
    with pytest.raises(DeploymentSettled, match=r"is rolling back \(4 unknown events\)"):
        ledger.settlement.promote(bad.id, token=rolled.token, outcome="late")
    ledger.settlement.finish_rollback(bad.id, token=rolled.token, restored=True, outcome="4 unknown events")
    with pytest.raises(DeploymentSettled, match="is rolled back"):
        ledger.settlement.promote(bad.id, token=rolled.token, outcome="late")


def test_a_rollback_that_was_not_begun_cannot_finish(run: Any, ledger: Ledger) -> None:
    it = run()
    deployment = it.open(BAD)
    with pytest.raises(DeploymentSettled, match="is running"):
        ledger.settlement.finish_rollback(deployment.id, token=it.token, restored=True, outcome="x")


def test_a_failed_rollback_is_not_over_and_may_succeed_later(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(BAD)
    ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="slow")
    failed = ledger.settlement.finish_rollback(
        deployment.id, token=it.token, restored=False, outcome="web-1 does not answer"
    )
    assert (failed.state, failed.settled_at, failed.restored_at) == ("rollback_failed", None, None)
    assert ledger.deployments.unsettled("shop", "production") == [failed]
    assert ledger.vetoes.in_force("shop", "production", BAD) is None
    assert ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="slow").state == "rolling_back"
    at = clock.forward(minutes=1)
    done = ledger.settlement.finish_rollback(deployment.id, token=it.token, restored=True, outcome="slow")
    assert (done.state, done.settled_at, done.restored_at) == ("rolled_back", at, at)
    assert ledger.settlement.finish_rollback(deployment.id, token=it.token, restored=False, outcome="late") == done
    assert ledger.deployments.unsettled("shop", "production") == []


def test_the_old_token_can_write_nothing_any_more(run: Any, ledger: Ledger) -> None:
    zombie = run()
    deployment = zombie.open(BAD)
    old = zombie.token
    run().overrule()
    writes = [
        lambda: ledger.phases.start(deployment.id, "phase_20", share=20, instances=["web-1"], token=old),
        lambda: ledger.phases.deployed(deployment.id, "phase_20", deployment.opened_at, old),
        lambda: ledger.settlement.promote(deployment.id, token=old, outcome=""),
        lambda: ledger.settlement.begin_rollback(deployment.id, token=old, outcome=""),
        lambda: ledger.settlement.finish_rollback(deployment.id, token=old, restored=True, outcome=""),
        lambda: ledger.actions.begin(deployment.id, "deploy", "key", token=old, detail={}),
        lambda: ledger.verdicts.record(deployment.id, "phase_20", token=old, verdict="PASS", evidence={}, final=True),
        lambda: ledger.profiles.save(deployment.id, "phase_20", "s", kind="logs", content=b"", teaches=True, token=old),
    ]
    for write in writes:
        with pytest.raises(LeaseLost, match="nothing was written"):
            write()
    assert ledger.deployments.get(deployment.id) == deployment
    assert ledger.phases.of(deployment.id) == []
    assert ledger.verdicts.of(deployment.id) == []


def test_the_next_run_may_put_right_what_a_dead_one_left_but_not_go_on_with_it(
    run: Any, ledger: Ledger, clock: Clock
) -> None:
    left = run("run-1").open(BAD)
    clock.forward(minutes=5)
    heir = run("run-2")
    heir.acquire()
    assert ledger.deployments.unsettled("shop", "production") == [left]
    with pytest.raises(LeaseLost):
        ledger.settlement.promote(left.id, token=heir.token, outcome="")
    with pytest.raises(LeaseLost):
        ledger.phases.start(left.id, "phase_100", share=100, instances=["web-1"], token=heir.token)
    ledger.settlement.begin_rollback(left.id, token=heir.token, outcome="its run died")
    ledger.actions.begin(left.id, "rollback", "key", token=heir.token, detail={})
    ledger.settlement.finish_rollback(left.id, token=heir.token, restored=True, outcome="its run died")
    assert ledger.deployments.unsettled("shop", "production") == []


def test_a_promoted_deployment_makes_whole_what_failed_before_it(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run("run-1")
    failed = it.open(BAD)
    ledger.settlement.begin_rollback(failed.id, token=it.token, outcome="slow")
    ledger.settlement.finish_rollback(failed.id, token=it.token, restored=False, outcome="web-1 is gone")
    it.release()
    clock.forward(seconds=1)
    heir = run("run-2")
    deployment = heir.open(GOOD)
    assert [d.run_id for d in ledger.deployments.unsettled("shop", "production")] == ["run-2", "run-1"]
    ledger.settlement.promote(deployment.id, token=heir.token, outcome="")
    assert ledger.deployments.unsettled("shop", "production") == []


# -- never silently backwards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["promoted", "rolled_back"])
def test_a_run_whose_deployment_is_over_does_not_start_again(run: Any, end: str) -> None:
    getattr(run("run-1"), end)(BAD)
    with pytest.raises(DeploymentSettled, match=r"is (promoted|rolled back) .*Next: Start a new run"):
        run("run-1").open(BAD)


def test_a_run_that_was_overtaken_does_not_go_on(run: Any, clock: Clock) -> None:
    run("run-1").open(BAD)
    clock.forward(minutes=6)
    run("run-2").promoted(GOOD)
    with pytest.raises(DeploymentSettled, match=r"run run-2 of storefront, newer than run run-1, deployed shop 1\.0"):
        run("run-1").open(BAD)


def test_a_run_asked_for_earlier_does_not_go_over_one_asked_for_later(run: Any, ledger: Ledger, clock: Clock) -> None:
    early, late = clock.time - timedelta(hours=2), clock.time - timedelta(hours=1)
    run("run-2").promoted(GOOD, requested_at=late)
    with pytest.raises(DeploymentSettled, match="never silently replaces a newer one"):
        run("run-1").open(shop("0.9.0"), requested_at=early)
    assert [d.run_id for d in ledger.deployments.matching()] == ["run-2"]


def test_what_was_asked_for_later_and_rolled_back_is_not_in_the_way(run: Any, clock: Clock) -> None:
    early, late = clock.time - timedelta(hours=2), clock.time - timedelta(hours=1)
    run("run-2").rolled_back(BAD, requested_at=late)
    assert run("run-1").promoted(GOOD, requested_at=early).state == "promoted"


def test_a_waiter_taken_for_dead_does_not_come_back_over_who_went_before_it(run: Any, clock: Clock) -> None:
    owner = run("run-1")
    owner.acquire()
    with pytest.raises(LedgerError):
        run("run-2").acquire()
    clock.forward(minutes=6)
    run("run-3").promoted(GOOD)
    clock.forward(minutes=1)
    with pytest.raises(DeploymentSettled, match="run run-3 of storefront, newer than run run-2"):
        run("run-2").open(shop("0.9.0"))


def test_runs_in_order_each_go_over_the_one_before(run: Any, ledger: Ledger, clock: Clock) -> None:
    for number in range(1, 4):
        run(f"run-{number}").promoted(shop(f"1.{number}.0"))
        clock.forward(minutes=1)
    last = ledger.deployments.last_promoted("shop", "production")
    assert last is not None
    assert last.release.version == "1.3.0"


# -- vetoes ------------------------------------------------------------------------------------------------------


def test_what_was_rolled_back_is_vetoed_there_until_somebody_lifts_it(run: Any, ledger: Ledger, clock: Clock) -> None:
    bad = run("run-1").rolled_back(BAD)
    veto = ledger.vetoes.in_force("shop", "production", BAD)
    assert veto is not None
    assert (veto.digest, veto.version, veto.deployment_id, veto.at, veto.reason) == (
        BAD.digest,
        "1.2.0",
        bad.id,
        clock.time,
        "4 unknown events",
    )
    clock.forward(minutes=1)
    second = run("run-2")
    with pytest.raises(ReleaseVetoed, match=r"was rolled back here at 2026-03-01 12:00 UTC: 4 unknown events"):
        second.open(BAD)
    assert ledger.vetoes.in_force("shop", "staging", BAD) is None
    assert ledger.vetoes.in_force("shop", "production", shop("1.2.0", workers=5)) is None
    lifted = ledger.vetoes.lift("shop", "production", BAD.digest, who="ada", why="the database was down")
    assert (lifted.lifted_by, lifted.lifted_why, lifted.lifted_at) == ("ada", "the database was down", clock.time)
    assert ledger.vetoes.in_force("shop", "production", BAD) is None
    assert ledger.vetoes.of("shop", "production") == [lifted]
    action = ledger.audit.actions()[0]
    assert (action.who, action.action, action.why) == ("ada", "lift veto", "the database was down")
    assert action.detail == {"digest": BAD.digest, "version": "1.2.0", "deployment": bad.id}
    assert second.open(BAD).state == "running"


def test_a_veto_that_is_not_there_cannot_be_lifted(run: Any, ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="no veto is in force"):
        ledger.vetoes.lift("shop", "production", BAD.digest, who="ada", why="because")
    run().rolled_back(BAD)
    with pytest.raises(LedgerError, match="lifting a veto requires a reason"):
        ledger.vetoes.lift("shop", "production", BAD.digest, who="ada", why=" ")
    with pytest.raises(LedgerError, match="cannot be stored as a name"):
        ledger.vetoes.lift("shop", "production", BAD.digest, who="", why="because")
    assert ledger.vetoes.in_force("shop", "production", BAD) is not None


def test_a_release_that_is_itself_what_was_restored_is_not_vetoed(run: Any, ledger: Ledger) -> None:
    run().rolled_back(GOOD, previous={"web-1": GOOD, "web-2": None})
    assert ledger.vetoes.of("shop", "production") == []


def test_rolled_back_again_after_the_veto_was_lifted_it_is_vetoed_again(run: Any, ledger: Ledger, clock: Clock) -> None:
    run("run-1").rolled_back(BAD)
    ledger.vetoes.lift("shop", "production", BAD.digest, who="ada", why="try again")
    clock.forward(minutes=1)
    run("run-2").rolled_back(BAD)
    assert [veto.lifted_by for veto in ledger.vetoes.of("shop", "production")] == [None, "ada"]


# -- phases, clocks, looking up ----------------------------------------------------------------------------------


def test_phases_are_recorded_before_and_after(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(BAD)
    started = ledger.phases.start(deployment.id, "phase_20", share=20, instances=["web-1"], token=it.token)
    assert (started.name, started.share, started.instances, started.state, started.deployed_at) == (
        "phase_20",
        20,
        ("web-1",),
        "started",
        None,
    )
    at = clock.forward(seconds=3)
    deployed = ledger.phases.deployed(deployment.id, "phase_20", at=at, token=it.token)
    assert (deployed.state, deployed.deployed_at) == ("deployed", at)
    again = ledger.phases.start(deployment.id, "phase_20", share=50, instances=["web-2"], token=it.token)
    assert again == ledger.phases.deployed(deployment.id, "phase_20", at=clock.forward(seconds=1), token=it.token)
    assert again == deployed
    ledger.phases.start(deployment.id, "phase_100", share=100, instances=["web-1", "web-2"], token=it.token)
    assert [phase.name for phase in ledger.phases.of(deployment.id)] == ["phase_20", "phase_100"]
    with pytest.raises(LedgerError, match=r"'phase_50' .* was never started"):
        ledger.phases.deployed(deployment.id, "phase_50", at=at, token=it.token)


def test_no_phase_starts_after_a_rollback_has_begun(run: Any, ledger: Ledger, clock: Clock) -> None:
    it = run()
    deployment = it.open(BAD)
    ledger.phases.start(deployment.id, "phase_20", share=20, instances=["web-1"], token=it.token)
    ledger.settlement.begin_rollback(deployment.id, token=it.token, outcome="a person said so")
    for forward in (
        lambda: ledger.phases.start(deployment.id, "phase_100", share=100, instances=["web-2"], token=it.token),
        lambda: ledger.phases.deployed(deployment.id, "phase_20", at=clock.time, token=it.token),
    ):
        with pytest.raises(DeploymentSettled, match=r"is rolling back \(a person said so\)"):
            forward()


def test_the_first_time_of_each_clock_counts(run: Any, ledger: Ledger, clock: Clock) -> None:
    deployment = run().open(BAD)
    first = clock.time
    ledger.deployments.set_clock(deployment.id, first_bad_at=first)
    ledger.deployments.set_clock(
        deployment.id, first_bad_at=clock.forward(seconds=1), verdict_at=clock.forward(seconds=11)
    )
    ledger.deployments.set_clock(deployment.id, safe_at=clock.forward(seconds=0.25))
    ledger.deployments.set_clock(deployment.id, safe_at=clock.forward(seconds=1), restored_at=clock.forward(seconds=4))
    read = ledger.deployments.get(deployment.id)
    assert read.first_bad_at == first
    assert (read.to_verdict, read.to_safe, read.to_restored) == (12.0, 0.25, 5.25)
    with pytest.raises(LedgerError, match="no deployment"):
        ledger.deployments.set_clock("nowhere", safe_at=first)
    with pytest.raises(LedgerError, match="has no time zone"):
        ledger.deployments.set_clock(deployment.id, verdict_at=first.replace(tzinfo=None))


def test_deployments_are_found_by_anything_newest_first(run: Any, ledger: Ledger, clock: Clock) -> None:
    for number, environment in enumerate(["staging", "production", "staging"], 1):
        run(f"run-{number}", environment=environment).promoted(shop(f"1.{number}.0"))
        clock.forward(minutes=1)
    run("run-4").rolled_back(BAD)

    def found(*arguments: Any, **more: Any) -> list[str]:
        return [deployment.run_id for deployment in ledger.deployments.matching(*arguments, **more)]

    assert found() == ["run-4", "run-3", "run-2", "run-1"]
    assert found("shop", "staging") == ["run-3", "run-1"]
    assert found(state="rolled_back") == ["run-4"]
    assert found(pipeline="storefront", run_id="run-2") == ["run-2"]
    assert found(limit=2) == ["run-4", "run-3"]
    assert found("billing") == []
    with pytest.raises(LedgerError, match="'done' is not a state of a deployment"):
        found(state="done")
    one = ledger.deployments.of_run("storefront", "run-2", "shop", "production")
    assert one is not None
    assert one.release.version == "1.2.0"


def test_prose_is_bounded_and_made_storable(run: Any) -> None:
    deployment = run().open(GOOD, reason="x" * 100_000, triggered_by="a\x00b\ud800")
    assert len(deployment.reason) == 8_000
    assert deployment.reason.endswith("…")
    assert deployment.triggered_by == "a\ufffdb?"


def test_looking_up_among_ten_thousand_uses_an_index(run: Any, ledger: Ledger) -> None:
    run().promoted(GOOD)
    plans = {
        "last promoted": "SELECT * FROM cd_deployment WHERE service = 'shop' AND environment = 'production' "
        "AND state = 'promoted' ORDER BY seq DESC LIMIT 1",
        "newest": "SELECT * FROM cd_deployment WHERE service = 'shop' AND environment = 'production' "
        "ORDER BY seq DESC LIMIT 100",
        "of a run": "SELECT * FROM cd_deployment WHERE pipeline = 'p' AND run_id = 'r'",
        "in line": "SELECT * FROM cd_lease_request WHERE service = 's' AND environment = 'e' AND state = 'waiting'",
    }
    with ledger.engine.begin() as connection:
        if ledger.engine.dialect.name == "postgresql":
            # With one row in the table the planner would rather read it all.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN" if ledger.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        for name, query in plans.items():
            plan = " ".join(str(row) for row in connection.exec_driver_sql(f"{explain} {query}"))
            assert "index" in plan.lower(), f"{name}: {plan}"
            assert "sort" not in plan.lower(), f"{name}: {plan}"
            assert "TEMP B-TREE" not in plan, f"{name}: {plan}"


# -- races -------------------------------------------------------------------------------------------------------


def test_promote_and_rollback_at_the_same_moment_end_in_one_of_them(real_ledger: Ledger) -> None:
    together = Barrier(2)
    for number in range(6):
        it = Run(real_ledger, f"run-{number}")
        deployment = it.open(shop(f"1.{number}.0", workers=4), previous={"web-1": GOOD})

        def decide(action: Any, deployment: Deployment = deployment, token: int = it.token) -> str:
            together.wait()
            try:
                return str(action(deployment.id, token=token, outcome="").state)
            except DeploymentSettled:
                return "refused"

        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(decide, [real_ledger.settlement.promote, real_ledger.settlement.begin_rollback]))
        state = real_ledger.deployments.get(deployment.id).state
        assert sorted(answers) == sorted([state, "refused"])
        if state == "rolling_back":
            real_ledger.settlement.finish_rollback(deployment.id, token=it.token, restored=True, outcome="")
        it.release()


def test_processes_that_open_at_the_same_moment_get_one_deployment(real_ledger: Ledger) -> None:
    it = Run(real_ledger)
    it.acquire()
    together = Barrier(6)

    def open_it(_: int) -> str:
        together.wait()
        return it.open(GOOD).id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(open_it, range(6)))) == 1
    assert len(real_ledger.deployments.matching()) == 1


def test_of_clocks_set_at_the_same_moment_one_stays(real_ledger: Ledger) -> None:
    deployment = Run(real_ledger).open(GOOD)
    together = Barrier(5)
    times = [deployment.opened_at + timedelta(seconds=second) for second in range(5)]

    def set_it(index: int) -> Any:
        together.wait()
        real_ledger.deployments.set_clock(deployment.id, safe_at=times[index])
        return real_ledger.deployments.get(deployment.id).safe_at

    with ThreadPoolExecutor(5) as pool:
        seen = set(pool.map(set_it, range(5)))
    assert len(seen) == 1
    assert seen <= set(times)
