"""``python -m tests.attacks``: what takes too long for every run of the tests.

python -m tests.attacks fuzz --inputs 1000000 --seed 7      hostile inputs, shared out to readers and parsers
python -m tests.attacks fuzz --only 'log line' --engine atheris
python -m tests.attacks secrets                             planted by every door of a real Airflow, then searched
python -m tests.attacks keycloak                            every changing route, under Keycloak's auth manager
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _fuzz(given: argparse.Namespace) -> int:
    from tests.attacks.fuzz import guided

    steered = given.engine == "atheris"
    if steered and (why := guided.missing()):
        print(f"Skipped: {why}.")
        return 0
    with guided.seen() if steered else contextlib.nullcontext():
        from tests.attacks.fuzz.answers import READERS as OF_ANSWERS
        from tests.attacks.fuzz.readers import READERS as OF_TEXTS
    from tests.attacks.fuzz.trial import tried

    readers = [one for one in (*OF_TEXTS, *OF_ANSWERS) if not given.only or one.name in given.only]
    if not readers:
        print(f"There is no reader {given.only}", file=sys.stderr)
        return 2
    # What readers say of inputs would be a million lines.
    logging.disable(logging.CRITICAL)
    each = -(-given.inputs // len(readers))
    if steered and len(readers) == 1:
        guided.one(readers[0], each, given.seed)
    print(f"seed {given.seed}, {len(readers)} readers, {each * len(readers):,} inputs", flush=True)
    well = True
    for name, found in guided.each(readers, each, given.seed) if steered else ():
        well = well and not found
        print(f"{name:20} {each:>10,} inputs  {found or 'nothing found'}", flush=True)
    for reader in readers if not steered else ():
        outcome = tried(reader, each, given.seed)
        well = well and outcome.well
        print(outcome, flush=True)
        for what, found in outcome.failures.items():
            print(f"    {what}\n        {found}", flush=True)
        if not outcome.well and outcome.worst:
            print(f"    slowest: {outcome.worst}", flush=True)
    return int(not well)


def _keycloak(given: argparse.Namespace) -> int:
    from tests.attacks.keycloak import attacked, missing

    if why := missing():
        print(f"Skipped: {why}.")
        return 0
    with tempfile.TemporaryDirectory(prefix="attacks-") as folder:
        done = attacked(given.cache, Path(folder))
    print(done.stdout[-4000:], done.stderr[-2000:])
    return done.returncode


def _secrets(given: argparse.Namespace) -> int:
    from tests.attacks.planted import attacked

    count, found = attacked()
    print(f"{count} places searched, {sum(map(len, found.values()))} with a secret")
    for name, places in found.items():
        print(f"    {name}: {', '.join(places)}")
    return int(bool(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    fuzz = commands.add_parser("fuzz")
    fuzz.add_argument("--inputs", type=int, default=300_000, help="in all")
    fuzz.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    fuzz.add_argument("--only", nargs="*", default=[], help="names of readers")
    fuzz.add_argument("--engine", choices=["random", "atheris"], default="random")
    keycloak = commands.add_parser("keycloak")
    keycloak.add_argument("--cache", type=Path, default=ROOT / ".cache" / "attacks", help="where Keycloak is kept")
    commands.add_parser("secrets")
    given = parser.parse_args()
    return {"fuzz": _fuzz, "keycloak": _keycloak, "secrets": _secrets}[given.command](given)


if __name__ == "__main__":
    sys.exit(main())
