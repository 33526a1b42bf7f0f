"""The story's bad release over and over: is the verdict always the same, and how long do the three clocks take?

    .venv/bin/python -m benchmarks.story --times 10

Starts the demo's world once (a real Airflow, fleet, traffic), lets it learn from 1.0 and 1.1, and then sends 1.2
through the pipeline as often as asked, lifting its veto in between as a person would.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from airflow_cd.demo.story import SERVICE, RunOutcome, run_story
from airflow_cd.demo.world import World

CLOCKS = ("to_verdict", "to_safe", "to_restored")


def main() -> int:
    """Run it; returns 1 if any expectation of any run did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times: int = parser.parse_args().times
    with World() as world:
        story, first = run_story(world, print)
        told: list[RunOutcome] = [first]
        ledger = world.ledger()
        while len(told) < times:
            last = told[-1].deployment
            assert last is not None
            ledger.vetoes.lift(SERVICE, "production", last.release.digest, who="benchmark", why="once more")
            told.append(story.deploy("1.2", reason=f"time {len(told) + 1}"))
            story.expect_four_exceptions(told[-1])
            story.expect_restored(told[-1])
    print(
        f"\n{times} runs, {len(story.failures)} expectations that did not hold: {'; '.join(story.failures) or 'none'}"
    )
    for clock in CLOCKS:
        seconds = [getattr(one.deployment, clock) for one in told if one.deployment is not None]
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{clock.replace('_', ' '):<12} {low:6.2f} s at least, {middle:6.2f} s median, {high:6.2f} s at most")
    return 1 if story.failures else 0


if __name__ == "__main__":
    sys.exit(main())
