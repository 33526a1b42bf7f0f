"""The picture of the packages in CONTRIBUTING is the one that CI checks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def names(layer: str) -> set[str]:
    return set(re.split(r"[^a-z_]+", layer)) - {""}


def test_contributing_shows_the_arrows_that_ci_checks() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [contract["layers"] for contract in settings["contracts"] if contract.get("exhaustive")]
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.split("## Packages, and the arrows between them")[1].split("\n## ")[0]
    picture = [
        line.strip().split("  ")[0] for line in section.splitlines() if line.startswith("    ") and line.strip() != "|"
    ]
    expected = [names(layer) for layer in layers if layer != "(triggers)"]
    assert [names(line) for line in picture] == expected
