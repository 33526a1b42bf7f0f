"""``airflow-cd demo``: starts everything, runs the story, and leaves everything running until Ctrl-C.

Either half can run alone: the servers around an Airflow, and the story on an Airflow that runs elsewhere.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from airflow_cd.demo.remote_airflow import RemoteAirflow
from airflow_cd.demo.story import CANARY, PIPELINE, VERIFY, RunOutcome, run_story
from airflow_cd.demo.surroundings import Surroundings
from airflow_cd.demo.world import World
from airflow_cd.errors import AirflowCdError, Refused
from airflow_cd.exit_codes import DONE, ERROR, FAILED, INTERRUPTED

TOKEN = "AIRFLOW_CD_DEMO_TOKEN"  # noqa: S105 - the name of the variable
PASSWORD = "AIRFLOW_CD_DEMO_PASSWORD"  # noqa: S105 - the name of the variable


class _Ended(KeyboardInterrupt):
    """SIGTERM, handled like Ctrl-C so that everything is cleaned up either way."""


def _end(_number: int, _frame: Any) -> None:
    raise _Ended


def run(*, port: int, leave: bool, brief: bool = False) -> int:
    """Run the demo; returns the process's exit code: 0 only if every expectation held.

    :param port: of the Airflow UI; 0 takes a free one.
    :param leave: keep everything running after the story until Ctrl-C.
    :param brief: learn from one release instead of two.
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
        story, outcome = run_story(world, _say, brief=brief)
        _timeline(outcome)
        failures = story.failures
        for failure in failures:
            _say(f"EXPECTATION NOT MET: {failure}")
        _say(f"The story took {time.monotonic() - started:.0f} s.")
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


def surround(*, port: int, all_interfaces: bool, repository: Path | None) -> int:
    """Run what surrounds an Airflow until Ctrl-C or SIGTERM; returns the process's exit code.

    :param port: of the fleet's deployment API; New Relic on the next one, Sumo Logic on the one after.
    :param all_interfaces: listen on every address of this machine instead of 127.0.0.1 alone.
    :param repository: folder for the shop's repository; a temporary one when None.
    """
    signal.signal(signal.SIGTERM, _end)
    surroundings = Surroundings(
        port=port, all_interfaces=all_interfaces, repository=repository, token=os.environ.get(TOKEN) or None
    )
    try:
        with surroundings:
            _say(
                "A fleet of shops, their traffic, New Relic's and Sumo Logic's protocols. Connections on this machine:"
            )
            for name, connection in surroundings.connections().items():
                _say(f"{name}={connection}")
            if surroundings.no_commits:
                _say(f"Without the commits of each release: {surroundings.no_commits}.")
            while not (dead := surroundings.dead()):
                time.sleep(1)
            _say(f"{' and '.join(dead)} died; ending the rest.")
            return FAILED
    except KeyboardInterrupt:
        return DONE


def run_story_on(url: str, user: str, *, brief: bool = False) -> int:
    """Run the story on an Airflow that runs; returns the process's exit code: 0 only if every expectation held.

    :param url: of its API server.
    :param user: to log in as.
    :param brief: learn from one release instead of two.
    """
    password = os.environ.get(PASSWORD)
    if not password:
        raise Refused(f"the password of {user} is not given.", next_step=f"Set {PASSWORD}.")
    airflow = RemoteAirflow(url, user, password)
    airflow.wait()
    story, outcome = run_story(airflow, _say, brief=brief)
    _timeline(outcome)
    for failure in story.failures:
        _say(f"EXPECTATION NOT MET: {failure}")
    _say(_last_line(outcome, failed=bool(story.failures)))
    return FAILED if story.failures else DONE


def _wait(world: World, outcome: RunOutcome) -> None:
    run = f"{world.airflow.url}/dags/{PIPELINE}/runs/{outcome.run_id}"
    _say("")
    _say(f"Airflow UI:  {world.airflow.url}   user {world.airflow.user}   password {world.airflow.password}")
    _say(f"The run:     {run}")
    _say(f"The report:  {world.airflow.url}/airflow-cd/report/{PIPELINE}/{outcome.run_id}/{VERIFY}")
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
    verdict = outcome.verdicts.get(CANARY, {}).get("verdict", "none")
    return f"{'NOT AS EXPECTED' if failed else 'AS EXPECTED'}: verdict {verdict}; {clocks}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command prints
    sys.stdout.flush()
