"""Do lines of one template come out as one event? Grouping accuracy on labelled logs.

python -m benchmarks.parsing DATA_FOLDER
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from airflow_cd.verification.logs.block_masking import mask
from airflow_cd.verification.logs.clustering import Vocabulary
from airflow_cd.verification.logs.signatures import Signature
from benchmarks.loghub import System, grouping_accuracy, load
from benchmarks.peers import drain3, has_drain3

Parser = Callable[[Sequence[str]], list[str]]


def ours(lines: Sequence[str]) -> list[str]:
    """The event of each line as the verification groups them."""
    signatures = [Signature.of_line(template) for template in mask(lines)]
    vocabulary = Vocabulary(Counter(signatures))
    return [vocabulary.template_of(signature) or signature.template for signature in signatures]


def theirs(lines: Sequence[str], *, masks: bool) -> list[str]:
    """Drain3's cluster of each line."""
    miner = drain3(masks=masks)
    return [str(miner.add_log_message(line.strip())["cluster_id"]) for line in lines]


def scores(parser: Parser, system: System) -> tuple[float, float, float, float]:
    """GA and FGA on the original labels, then on the corrected ones."""
    found = parser(system.lines)
    return (*grouping_accuracy(found, system.original), *grouping_accuracy(found, system.corrected))


def main() -> None:
    """Print a table of all systems in a folder, and the mean."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    systems = load(arguments.parse_args().folder)
    parsers: dict[str, Parser] = {"ours": ours}
    if has_drain3():
        parsers["Drain3 defaults"] = lambda lines: theirs(lines, masks=False)
        parsers["Drain3 example masks"] = lambda lines: theirs(lines, masks=True)
    print(f"{'parser':<22}{'system':<14}{'GA':>7}{'FGA':>7}{'GA c.':>7}{'FGA c.':>7}")
    for name, parser in parsers.items():
        rows = [scores(parser, system) for system in systems]
        for system, row in zip(systems, rows, strict=True):
            print(f"{name:<22}{system.name:<14}" + "".join(f"{value:>7.3f}" for value in row))
        means = [sum(column) / len(column) for column in zip(*rows, strict=True)]
        print(f"{name:<22}{'mean':<14}" + "".join(f"{value:>7.3f}" for value in means))


if __name__ == "__main__":
    main()
