"""Peers of the log judgement, each with two rules: anything new fails, or only what is new and has an error word.

logdelta is looked for on the PATH and where the line below puts it; Drain3 as :mod:`benchmarks.peers` says.

    cargo install logdelta --version 0.3.4 --root ~/.cache/airflow-cd-benchmarks/cargo
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.error_kinds import sounds_bad
from benchmarks.log_judges import Answer, Judge, written
from benchmarks.peers import drain3, has_drain3
from benchmarks.public_files import data_folder

LOGDELTA = "cargo install logdelta --version 0.3.4"


def peers() -> dict[str, Judge]:
    """Those that are on this machine, by what they are called in tables."""
    found: dict[str, Judge] = {}
    if program := _logdelta():
        found["logdelta, anything new"] = lambda old, new: _answer(*logdelta(program, old, new))
        found["logdelta, error words"] = lambda old, new: _answer(filter(sounds_bad, logdelta(program, old, new)[0]))
    else:
        print(f"(without logdelta beside it: {LOGDELTA})")
    if has_drain3():
        found["Drain3 frozen, anything new"] = lambda old, new: _answer(drain3_frozen(old, new))
        found["Drain3 frozen, error words"] = lambda old, new: _answer(filter(sounds_bad, drain3_frozen(old, new)))
    return found


def _logdelta() -> str | None:
    ours = data_folder() / "cargo" / "bin" / "logdelta"
    return str(ours) if ours.exists() else shutil.which("logdelta")


def _answer(*flagged: Any) -> Answer:
    lines = [line for some in flagged for line in some]
    return Answer("FAIL" if lines else "PASS", flagged=lines)


def logdelta(program: str, baseline: Sequence[str], canary: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first line of each new template, and of each new value of a known one.

    :param program: path of the command.
    """
    with tempfile.TemporaryDirectory() as folder:
        old, new = (written(Path(folder) / name, lines) for name, lines in (("old", baseline), ("new", canary)))
        command = [program, "diff", old, new, "--json", "--color", "never"]
        done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(f"logdelta ended with {done.returncode}: {done.stderr.decode()}")
    found = json.loads(done.stdout)
    new_lines = [item["first_target_raw"] for item in found["findings"] if item["kind"] == "new"]
    return new_lines, [item["first_target_raw"] for item in found["value_findings"]]


def drain3_frozen(baseline: Sequence[str], canary: Sequence[str]) -> list[str]:
    """The canary's lines that a tree grown on the baseline, with the example masks, does not match."""
    miner = drain3(masks=True)
    for line in baseline:
        miner.add_log_message(line)
    return [line for line in canary if line.strip() and miner.match(line) is None]
