"""The README's worked example is what really happens."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.skipif(shutil.which("bash") is None, reason="the example is written for bash")
def test_the_example_on_two_log_files_says_what_the_readme_says(tmp_path: Path) -> None:
    section = README.read_text(encoding="utf-8").split("## Try it on two log files\n")[1].split("\n## ")[0]
    commands, expected = (
        textwrap.dedent(block).strip("\n")
        for block in re.findall(r"(?:^(?: {4}.*)?\n)+", section, re.MULTILINE)
        if block.strip()
    )
    run = f'airflow-cd() {{ "{sys.executable}" -m airflow_cd.cli "$@"; }}\n{commands}'
    ended = subprocess.run(["bash", "-c", run], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert ended.stdout.strip() == expected.strip(), ended.stderr
    assert ended.returncode == 1
    assert "TypeError" in (tmp_path / "out.html").read_text(encoding="utf-8")
