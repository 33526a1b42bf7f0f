"""What only the demo needs is an extra: nothing else imports it, and the demo says how to install it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import airflow_cd
from airflow_cd.cli import main

ROOT = Path(airflow_cd.__file__).parent
EXTRA = {"aiohttp", "graphql"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a module imports anywhere, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_demo_alone_imports_what_its_extra_installs() -> None:
    users = {path.relative_to(ROOT).parts[0] for path in ROOT.rglob("*.py") if imported(path) & EXTRA}
    assert users == {"demo"}


@pytest.mark.parametrize(("module", "package"), [("aiohttp", "aiohttp"), ("graphql", "graphql-core")])
def test_without_the_extra_the_demo_says_what_to_install(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["demo", "--exit"]) == 3
    told = capsys.readouterr()
    assert told.err == (
        f"the demo needs {package}, which is not installed. Next: Run pip install 'airflow-cd[demo]'.\n"
    )
    assert told.out == ""
