"""How many good deployments does each sensitivity block? A long history of a modelled shop, replayed.

    python -m benchmarks.false_alarms [--deployments 100] [--seed 1] [--injected]

Every deployment puts two of ten instances on the new release for a minute; every tenth throws four new exceptions
and is rolled back. Each is judged against the good ones before it and the eight other instances, as a pipeline would.
"""

from __future__ import annotations

import argparse
import random

from airflow_cd.report.backtest import Scope, as_text
from airflow_cd.verification.backtest.replay import PastDeployment, PastPhase, backtest
from tests.verification.shop_logs import CANARY, CONTROL, shop_profile

SECONDS = 60
BROKEN_EVERY = 10


def history(deployments: int, seed: int) -> list[PastDeployment]:
    """So many deployments of the shop, oldest first."""
    rng = random.Random(seed)
    past = []
    for number in range(deployments):
        good = number % BROKEN_EVERY != BROKEN_EVERY - 1
        canary = shop_profile(rng, CANARY, SECONDS, broken=not good)
        phase = PastPhase("phase_20", "logs", canary, shop_profile(rng, CONTROL, SECONDS), good)
        past.append(PastDeployment(str(number), f"1.{number}", f"1.{number}", good, "", [phase]))
    return past


def main() -> None:
    """Replay and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--deployments", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--injected", action="store_true", help="regressions as well; takes six times as long")
    given = arguments.parse_args()
    found = backtest(history(given.deployments, given.seed), inject=given.injected)
    print(as_text(Scope("a modelled shop", "production"), found))


if __name__ == "__main__":
    main()
