from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docker/*.md")]
_NAMED = re.compile(r"\]\((?!https?:|#)([^)#\s]+)|`((?:docs|benchmarks|docker|dags|tests|plugins)/[\w./-]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    named = [link or path for link, path in _NAMED.findall(document.read_text())]
    missing = [name for name in named if not any((place / name).exists() for place in (document.parent, ROOT))]
    assert missing == []
