"""``airflow-cd demo``: starts everything, runs the story, and leaves everything running until Ctrl-C."""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

from airflow_cd.demo.story import PIPELINE, RunOutcome, run_story
from airflow_cd.demo.world import World
from airflow_cd.errors import AirflowCdError
from airflow_cd.exit_codes import DONE, ERROR, FAILED, INTERRUPTED


class _Ended(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C so that everything is cleaned up either way."""


def _end(_number: int, _frame: Any) -> None:
    raise _Ended


def run(*, port: int, leave: bool) -> int:
    """Run the demo; returns the process's exit code: 0 only if every expectation held.

    :param port: of the Airflow UI; 0 takes a free one.
    :param leave: keep everything running after the story until Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _end)
    world = World(port=port)
    started = time.monotonic()
    try:
        _say("Starting a fleet of shops, their traffic, New Relic's and Sumo Logic's protocols, and Airflow ...")
        world.start()
        _say(f"Airflow UI: {world.airflow.url}  user {world.airflow.user}, password {world.airflow.password}")
        if world.no_commits:
            _say(f"Without the commits of each release: {world.no_commits}.")
        story, outcome = run_story(world, _say)
        _timeline(outcome)
        failures = story.failures
        for failure in failures:
            _say(f"FAILED EXPECTATION: {failure}")
        _say(f"RunOutcome in {time.monotonic() - started:.0f} s.")
        if leave:
            _wait(world, outcome)
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED
    except AirflowCdError as error:
        _say(f"The demo cannot continue: {error}")
        return ERROR
    finally:
        # A second Ctrl-C while cleaning up would leave processes behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        world.stop()
    _say(_last_line(outcome, failed=bool(failures)))
    return FAILED if failures else DONE


def _wait(world: World, outcome: RunOutcome) -> None:
    run = f"{world.airflow.url}/dags/{PIPELINE}/runs/{outcome.run_id}"
    _say("")
    _say(f"Airflow UI:  {world.airflow.url}   user {world.airflow.user}   password {world.airflow.password}")
    _say(f"The run:     {run}")
    _say(f"The report:  {world.airflow.url}/airflow-cd/report/{PIPELINE}/{outcome.run_id}/production.phase_20.verify")
    _say("Everything keeps running. Ctrl-C ends it.")
    try:
        while not (dead := world.dead()):
            time.sleep(1)
        _say(f"{' and '.join(dead)} died; ending the rest.")
    except KeyboardInterrupt:
        _say("Ending everything ...")


def _timeline(outcome: RunOutcome) -> None:
    deployment = outcome.deployment
    if deployment is None:
        return
    moments = {
        "production opened": deployment.opened_at,
        "first bad event": deployment.first_bad_at,
        "verdict": deployment.verdict_at,
        "safe: canary out of the traffic": deployment.safe_at,
        "restored: artifact and configuration read back": deployment.restored_at,
    }
    _say("")
    for what, when in sorted(((w, t) for w, t in moments.items() if t is not None), key=lambda pair: pair[1]):
        _say(f"  {when:%H:%M:%S}.{when.microsecond // 1000:03d}  {what}")
    _say("")


def _last_line(outcome: RunOutcome, *, failed: bool) -> str:
    deployment = outcome.deployment
    if deployment is None:
        return "NOT AS EXPECTED: nothing was deployed to production"
    clocks = ", ".join(
        f"{name} {value:.2f} s" if value is not None else f"{name} not reached"
        for name, value in (
            ("to verdict", deployment.to_verdict),
            ("to safe", deployment.to_safe),
            ("to restored", deployment.to_restored),
        )
    )
    verdict = outcome.verdicts.get("phase_20", {}).get("verdict", "none")
    return f"{'NOT AS EXPECTED' if failed else 'AS EXPECTED'}: verdict {verdict}; {clocks}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command prints
    sys.stdout.flush()
