"""``python -m tests.faults``: does faults to canaries on a real Airflow and prints, for each, what became of it.

python -m tests.faults                     every fault once
python -m tests.faults paused-then-bad     this one
python -m tests.faults --kills 200         so many, at recorded steps and at random, see tests/faults/kills.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.faults import CASES
from tests.faults.kills import kills
from tests.faults.site import OLD, Site
from tests.faults.victims import VICTIMS
from tests.pace import PATIENCE


def tried(site: Site, name: str) -> tuple[str, float, float, list[str]]:
    """Do one fault: gives what the guard found, the seconds to safe and to whole, and what is wrong at the end."""
    case = CASES[name]
    site.start(name)
    site.watched(name)
    case.happen(site, name)
    began = time.monotonic()
    site.until(lambda: site.served_by(name) == {OLD.artifact}, f"{name} is safe", seconds=PATIENCE)
    safe = time.monotonic() - began
    site.until(lambda: not site.wrong(name), f"{name} is whole ({site.wrong(name)})", seconds=PATIENCE)
    whole = time.monotonic() - began
    wrong = site.wrong(name)
    causes = [str(finding.cause) for finding in site.findings(name)]
    if case.cause is not None and causes != [case.cause]:
        wrong.append(f"the guard found {causes or 'nothing'}")
    if bool(site.ledger.vetoes.of("shop", name)) is not case.vetoed:
        wrong.append("it is vetoed" if not case.vetoed else "it is not vetoed")
    return ", ".join(causes), safe, whole, wrong


def tried_together(names: list[str]) -> bool:
    """Do faults on one Airflow, a few at a time, and print what became of each; gives whether all ended well."""
    well = True
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        Site(Path(folder), {name: CASES[name].settings for name in names}) as site,
        ThreadPoolExecutor(4) as pool,
    ):
        begun = {name: pool.submit(tried, site, name) for name in names}
        for name, future in begun.items():
            try:
                found, safe, whole, wrong = future.result()
            except Exception as error:  # noqa: BLE001 - the others go on
                well = False
                print(f"{name:24} FAILED {error}; {site.wrong(name)}", flush=True)
                continue
            well = well and not wrong
            end = "; ".join(wrong) or "whole"
            print(f"{name:24} found {found or '-':14} safe {safe:5.1f} s  whole {whole:5.1f} s  {end}", flush=True)
        if not well:
            log = Path(tempfile.gettempdir()) / f"faults-{int(time.time())}.log"
            log.write_text(site.world.airflow.log.read_text(errors="replace"))
            print(f"Airflow's log: {log}", flush=True)
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", default=[], help=f"of {', '.join(CASES)}")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="strike N releases")
    parser.add_argument("--seed", default=str(int(time.time())), help="of --kills; a new one each time")
    parser.add_argument("--lanes", type=int, default=3, metavar="N", help="environments beside each other")
    parser.add_argument("--only", nargs="+", default=[], choices=list(VICTIMS), metavar="VICTIM", help="strike these")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin none after so many")
    parser.add_argument("--keep", type=Path, help="folder for the logs of what went wrong")
    given = parser.parse_args()
    if given.kills:
        chosen = {name: getattr(given, name) for name in ("seed", "lanes", "only", "minutes", "keep")}
        return int(not kills(given.kills, **chosen))
    names = given.faults or list(CASES)
    together = [name for name in names if not CASES[name].alone]
    well = tried_together(together) if together else True
    for name in names:
        if CASES[name].alone:
            well = tried_together([name]) and well
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
