"""Real raw log files of public repositories: which, where, under which licence, and how to get them.

    python -m benchmarks.public_logs               # what there is, and what of it is here
    python -m benchmarks.public_logs --get         # clone the repositories at the commits below
    python -m benchmarks.public_logs --get --from FOLDER   # of clones or bare git directories, OWNER+NAME each

None of them is part of this repository. They go to ``~/.cache/airflow-cd-benchmarks/files``, or where the environment
variable ``AIRFLOW_CD_BENCHMARKS`` says.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from benchmarks.public_files import Repository, data_folder, get

Split = Literal["development", "held out"]
SPLITS: tuple[Split, ...] = ("development", "held out")
MOST_LINES = 2000  # as many as loghub has of each system, so that all weigh alike


@dataclass(frozen=True)
class PublicLog:
    """One raw log.

    :param system: what wrote it; unique.
    :param split: rules and thresholds are chosen on the development ones, and on nothing else.
    :param path: in its repository.
    :param pod: of a table of all pods' lines, which one's are meant.
    :param errors: False for logs of requests and of attempts to log in: what is an error there is no kind of message.
    """

    system: str
    split: Split
    repository: Repository
    path: str
    pod: str = ""
    errors: bool = True

    @property
    def file(self) -> Path:
        """Where it is on this machine, if it is."""
        return self.repository.folder / self.path

    def lines(self) -> list[str]:
        """Its first :data:`MOST_LINES` raw lines, headers and all, without their ends."""
        if self.pod:
            with self.file.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["PodName"].startswith(self.pod)]
            rows.sort(key=lambda row: row["Timestamp"])
            return [row["Log"].removesuffix("\n") for row in rows[:MOST_LINES]]
        text = self.file.read_bytes().decode("utf-8", "surrogateescape")
        return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")[:MOST_LINES]]

    def labels(self) -> list[Label] | None:
        """The template and the stated level of each line as people labelled them; None where nobody did."""
        labels = self.file.with_name(self.file.name + "_structured.csv")
        return list(_labels(labels)) if labels.exists() else None


@dataclass(frozen=True)
class Label:
    """What people say that a line is.

    :param level: as the line states it, ``""`` for none.
    """

    template: str
    level: str


LOGHUB = Repository(
    "logpai/loghub",
    "dd61d0952749ee7963bde24220d1be5ede023033",
    "free for research with the repository and its paper (ISSRE 2023) named",
)

# The first ten are what this project has been built with, so they can hold nothing out any more.
_BUILT_WITH = "BGL Hadoop HealthApp HPC Linux Mac OpenStack Proxifier Spark Windows"
_NEVER_SEEN = "Android Apache HDFS OpenSSH Thunderbird Zookeeper"


def _loghub(names: str, split: Split) -> list[PublicLog]:
    return [PublicLog(name, split, LOGHUB, f"{name}/{name}_2k.log") for name in names.split()]


ELASTIC = Repository("elastic/examples", "6d86454ebb7a850bcd7e80abe86fe683370018a6", "Apache-2.0")
LNAV = Repository("tstack/lnav", "bb0005f96c8dc486ee0b9005a4562be0ef61c878", "BSD-2-Clause")
NEZHA = Repository("IntelligentDDS/Nezha", "d8140101fdb4e7dfb60d3ef9f64706f382b68470", "MIT")
_KAFKA = "Miscellaneous/kafka_monitoring/filebeat_monitoring/logs/kafka0/logs"
_LOGINS = "Machine Learning/Security Analytics Recipes/suspicious_login_activity/data"
_BOUTIQUE = "rca_data/2022-08-22/log/05_19_log.csv"  # one minute, all of it in one state

LOGS: Sequence[PublicLog] = (
    *_loghub(_BUILT_WITH, "development"),
    PublicLog("Kafka states", "development", ELASTIC, f"{_KAFKA}/state-change.log.2016-12-19-16"),
    PublicLog("Laravel", "development", LNAV, "test/logfile_laravel.0"),
    PublicLog("access, Apache", "development", ELASTIC, "Common Data Formats/apache_logs/apache_logs", errors=False),
    *_loghub(_NEVER_SEEN, "held out"),
    PublicLog("Kafka server", "held out", ELASTIC, f"{_KAFKA}/server.log.2016-12-19-20"),
    PublicLog("auth", "held out", ELASTIC, f"{_LOGINS}/auth.log", errors=False),
    PublicLog("access, shop", "held out", LNAV, "test/logfile_shop_access_log.0", errors=False),
    PublicLog("Boutique frontend", "held out", NEZHA, _BOUTIQUE, pod="frontend"),
    PublicLog("Boutique catalogue", "held out", NEZHA, _BOUTIQUE, pod="productcatalog"),
    PublicLog("Boutique currency", "held out", NEZHA, _BOUTIQUE, pod="currency"),
)


def present(splits: Sequence[Split] = SPLITS) -> list[PublicLog]:
    """The logs of the splits that are on this machine; raises SystemExit with the way to get them where none is."""
    wanted = [log for log in LOGS if log.split in splits]
    found = [log for log in wanted if log.file.exists()]
    if not found:
        raise SystemExit(
            f"No public logs are in {data_folder() / 'files'}. Get them: python -m benchmarks.public_logs --get"
        )
    if len(found) < len(wanted):
        missing = ", ".join(log.system for log in wanted if log not in found)
        print(f"(without {missing}: python -m benchmarks.public_logs --get)")
    return found


@cache
def _labels(path: Path) -> tuple[Label, ...]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stated = _states_levels([row.get("Level") or "" for row in rows])
    return tuple(Label(row["EventTemplate"], row["Level"] if stated else "") for row in rows)


ERROR_LEVELS = frozenset(
    ("e", "f", "err", "error", "severe", "failure", "fatal", "crit", "critical", "alert", "emerg", "emergency", "panic")
)
"""In lower case, as the labels have them; a failure is more than an error in the logs that have such a level."""
_LEVELS = ERROR_LEVELS | frozenset(
    ("v", "d", "i", "w", "trace", "debug", "verbose", "info", "information", "notice", "warn", "warning")
)


def _states_levels(levels: Sequence[str]) -> bool:
    """Whether a column is one of levels: Linux's so-called levels are the host's name."""
    return sum(level.lower() in _LEVELS for level in levels) > 0.9 * len(levels)


def _is_one_of(logs: Sequence[PublicLog]) -> Callable[[str], bool]:
    """Whether a path is one of the logs, or labels one."""
    paths = [log.path for log in logs]
    return lambda name: any(name == path or name.startswith(f"{path}_") for path in paths)


def repositories() -> Iterator[Repository]:
    """Every one that a log comes from, once."""
    yield from dict.fromkeys(log.repository for log in LOGS)


def main() -> None:
    """List the logs, or get them."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--get", action="store_true", help="bring what is missing")
    arguments.add_argument("--from", dest="clones", type=Path, help="folder of clones, each OWNER+NAME")
    given = arguments.parse_args()
    for repository in repositories():
        logs = [log for log in LOGS if log.repository == repository]
        if given.get and not all(log.file.exists() for log in logs):
            get(repository, _is_one_of(logs), given.clones)
        print(f"{repository.address} at {repository.commit[:12]}; licence: {repository.licence}")
        for log in logs:
            size = f"{log.file.stat().st_size:,} bytes" if log.file.exists() else "not here"
            print(f"  {log.system:<16}{log.split:<14}{log.path} ({size})")


if __name__ == "__main__":
    main()
