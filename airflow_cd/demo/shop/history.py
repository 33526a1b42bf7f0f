"""How the shop came to be: a git repository with a tag for each release, made when the demo starts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow_cd.demo.shop.artifacts import ARTIFACTS

RELEASES = Path(__file__).with_name("releases")
LONGEST = 10  # seconds for git; it needs a twentieth of one
_FIRST = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
_PEOPLE = ("Ada Holm", "Carla Ruiz", "Bob Keller")
_SUBJECTS = {
    "1.0": (
        "The shop: catalogue, basket and checkout",
        "Gift cards, returns and wish lists",
        "Ask the carrier for a price, and use the table of rates when it does not answer",
        "Export customers as CSV for the back office",
    ),
    "1.1": (
        "Recommend what others bought with a product",
        "A friendlier home page, with what is popular",
        "Say in the log how an order was paid",
    ),
    "1.2": (
        "Gift cards: take any amount, to the cent",
        "Returns: the fee depends on the reason",
        "Wish lists carry the name of their owner",
        "Write the export so that old spreadsheets can read it",
    ),
    "1.3": (
        'Revert "Gift cards, returns, wish lists and export"',
        "Ask before every query whether the customer may see the rows",
        "Cover row-level permissions in the checkout",
    ),
    "1.4": (
        "Check the schema of the database before the first request",
        "Move to schema 8",
    ),
}


def build(directory: Path) -> str:
    """Make the repository, the same one every time.

    :returns: why there is none, ``""`` when there is one.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    git = ["git", "-c", "init.defaultBranch=main", "-c", "core.fsync=none"]
    init = [*git, "init", "--quiet", "--bare", "--template=", str(directory)]
    fill = [*git, "-C", str(directory), "fast-import", "--quiet"]
    try:
        for command, given in ((init, b""), (fill, b"".join(_stream()))):
            subprocess.run(  # noqa: S603 - our own arguments
                command, input=given, env=environment, check=True, capture_output=True, timeout=LONGEST
            )
    except FileNotFoundError:
        return "git is not installed"
    except (OSError, subprocess.SubprocessError) as error:
        return f"git could not write them: {error}"
    return ""


def _stream() -> Iterator[bytes]:
    number, changelog = 0, ""
    for artifact, module in ARTIFACTS.items():
        version = artifact.partition(":")[2]
        changelog += f"\n## {version}\n\n"
        for place, subject in enumerate(_SUBJECTS[version]):
            number += 1
            changelog += f"- {subject}\n"
            files = {"CHANGES.md": f"# The shop\n{changelog}".encode()}
            if place == 0:
                files["shop.py"] = (RELEASES / f"{module}.py").read_bytes()
            yield _commit(number, subject, files)
        yield f"reset refs/tags/v{version}\nfrom :{number}\n".encode()


def _commit(number: int, subject: str, files: dict[str, bytes]) -> bytes:
    person = _PEOPLE[number * 7 // 4 % len(_PEOPLE)]
    at = int((_FIRST + timedelta(days=9 * number, minutes=97 * number % 480)).timestamp())
    who = f"{person} <{person.split()[0].lower()}@example.com> {at} +0000"
    head = f"commit refs/heads/main\nmark :{number}\nauthor {who}\ncommitter {who}\n".encode()
    changes = b"".join(f"M 644 inline {name}\n".encode() + _data(content) for name, content in files.items())
    return head + _data(subject.encode()) + changes


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
