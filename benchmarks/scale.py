"""How fast are logs profiled, and does that stay so as they grow?

    python -m benchmarks.scale DATA_FOLDER [--lines 100000,1000000,10000000] [--peers]

Lines come from the templates of every log system in the folder, parameters drawn again, cut to a mean of 71 bytes;
then, where the folder has them, the real lines of nezha's TrainTicket. Each size runs in a process of its own, which
reads a file block by block; its peak memory and its CPU time (of all threads) are those measured. Starting, which
includes the import of polars and scipy (about .4 s), is apart.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from airflow_cd.verification.files.logs import profile_stream
from airflow_cd.verification.logs.clustering import Vocabulary
from airflow_cd.verification.logs.masking import has_polars
from airflow_cd.verification.logs.quality import judge_quality
from benchmarks.deployments import redrawn
from benchmarks.loghub import System, load, parameters_in
from benchmarks.peers import drain3, has_drain3

_BYTES = 71
_DISTINCT = 400_000  # lines drawn; a longer file repeats them with a number of its own in each


def write_mix(systems: list[System], path: Path, count: int, seed: int = 1) -> int:
    """Write so many lines; returns how many templates are in them."""
    rng = random.Random(seed)
    lines: list[tuple[str, str]] = []
    for system in systems:
        lines += [
            (line, template)
            for line, template in zip(system.lines, system.corrected, strict=True)
            if len(line) <= 2 * _BYTES and parameters_in(line, template) is not None
        ]
    made, used = [], set[str]()
    for _ in range(min(count, _DISTINCT)):
        line, template = rng.choice(lines)
        used.add(template)
        parts, last = [], 0
        for start, end in parameters_in(line, template) or ():
            parts += [line[last:start], redrawn(line[start:end], line[:start], rng)]
            last = end
        made.append("".join(parts) + line[last:])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for start in range(0, count, len(made)):
            chosen = made[: count - start]
            file.write("\n".join(f"{rng.randrange(10**6)} {line}" for line in chosen) + "\n")
    return len(used)


def write_real(source: Path, path: Path) -> None:
    """The TrainTicket messages as a plain log."""
    with gzip.open(source, "rt", encoding="utf-8") as lines, path.open("w", encoding="utf-8") as file:
        for line in lines:
            message = line.rstrip("\n").split("\t", 3)[3]
            file.write(message.replace("\\n", "\n").replace("\\t", "\t") + "\n")


def _start() -> None:
    for name in (*(["polars"] if has_polars() else []), "scipy.special"):
        importlib.import_module(name)


def profile(path: Path) -> dict[str, float]:
    """Profile a file in this process."""
    _start()
    began = time.process_time()
    with path.open("rb") as stream:
        profiled = profile_stream(stream)
    used = time.process_time() - began
    vocabulary = Vocabulary(profiled.counts())
    events = {vocabulary.template_of(signature) for signature in profiled.tallies}
    return {
        "seconds": used,
        "records": profiled.records,
        "events": len(events),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def verify(path: Path) -> dict[str, float]:
    """Judge the second half of a file against the first in this process, as `airflow-cd verify` does."""
    _start()
    content = path.read_bytes()
    middle = content.index(b"\n", len(content) // 2) + 1
    began = time.process_time()
    baseline, canary = (profile_stream(io.BytesIO(half)) for half in (content[:middle], content[middle:]))
    judge_quality(canary, None, [baseline])
    return {"seconds": time.process_time() - began}


def drain3_of(path: Path) -> dict[str, float]:
    """The peer on the same file."""
    miner = drain3(masks=True)
    began = time.process_time()
    with path.open(encoding="utf-8") as lines:
        records = sum(bool(miner.add_log_message(line.strip())) for line in lines)
    used = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": used, "records": records, "events": len(miner.drain.clusters), "peak_mb": peak}


_JOBS = {"profile": profile, "verify": verify, "drain3": drain3_of}


def _apart(job: str, path: Path) -> dict[str, float]:
    """Run a job in a fresh process, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.scale", "--job", job, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _row(name: str, path: Path, measured: dict[str, float], true: int | None) -> str:
    size, seconds = path.stat().st_size, measured["seconds"]
    speed = f"{measured['records'] / seconds / 1000:>9.0f}{size / seconds / 1e6:>8.0f}"
    events = f"{measured['events']:>8.0f}" + (f"{measured['events'] / true:>8.2f}" if true else f"{'':>8}")
    return f"{name:<30}{speed}{measured['peak_mb']:>9.0f}{events}"


def main() -> None:
    """Print a table, a row for each file."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--lines", default="100000,1000000")
    arguments.add_argument("--peers", action="store_true", help="Drain3 as well, on 100,000 lines")
    arguments.add_argument("--job", choices=_JOBS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.job:
        print(json.dumps(_JOBS[given.job](given.folder)))
        return
    systems = load(given.folder)
    print(f"{'':<30}{'klines/s':>9}{'MB/s':>8}{'peak MB':>9}{'events':>8}{'/ true':>8}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mix.log"
        for count in (int(number) for number in given.lines.split(",")):
            true = write_mix(systems, path, count)
            print(_row(f"{count:,} lines", path, _apart("profile", path), true), flush=True)
            if count == 1_000_000:
                print(f"verify 1,000,000, one half by the other: {_apart('verify', path)['seconds']:.2f} s of CPU")
            if given.peers and count <= 100_000 and has_drain3():
                print(_row(f"Drain3, {count:,} lines", path, _apart("drain3", path), true), flush=True)
        source = given.folder / "nezha" / "trainticket_logs.tsv.gz"
        if source.exists():
            write_real(source, path)
            print(_row("TrainTicket, real", path, _apart("profile", path), None))
        else:
            print(f"(no real lines: {source} is not there)")


if __name__ == "__main__":
    main()
