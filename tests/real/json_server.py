"""Software that is not ours: json-server, whose versions answer alike up to 0.17 and otherwise from 1.0 on."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

from airflow_cd.release import Release
from tests.real import images
from tests.real.engine import Engine, run
from tests.real.visitors import visiting

GOOD, BAD = "0.17.4", "1.0.0-beta.3"
"""The second answers 404 where lists of everything were, and 500 to what it cannot read, where 400 was."""

RECIPE = Path(__file__).with_name("docker_target") / "json_server" / "Dockerfile"
CONTENT = {"posts": [{"id": number, "title": f"post {number}"} for number in range(1, 30)], "comments": []}


def missing() -> str:
    """Why its images cannot be built here, ``""`` when they can."""
    absent = [tool for tool in ("node", "npm") if shutil.which(tool) is None]
    return f"there is no {' and no '.join(absent)} on this machine" if absent else ""


def build(engine: Engine, folder: Path) -> None:
    """Build an image of each version, with this machine's Node.js.

    :param engine: of the daemon.
    :param folder: an empty one.
    """
    base = images.base(engine)
    node = shutil.which("node")
    assert node is not None
    for version in (GOOD, BAD):
        context = folder / version
        context.mkdir()
        quietly = ("--no-audit", "--no-fund", "--no-package-lock", "--silent")
        run(["npm", "install", *quietly, "--prefix", str(context), f"json-server@{version}"])
        # The longest part, and the same in all: the daemon has it once.
        shutil.copy(Path(node).resolve(), context / "node")
        shutil.copy(RECIPE, context)
        (context / "db.json").write_text(json.dumps(CONTENT))
        engine.build(f"json-server:{version}", context, base=base)
        shutil.rmtree(context)


def archive(engine: Engine, folder: Path) -> Path:
    """Both images in one file.

    :param engine: of the daemon.
    :param folder: an empty one.
    """
    build(engine, folder)
    kept = folder / "json-server.tar"
    engine("docker", "save", "--output", str(kept.resolve()), *(f"json-server:{version}" for version in (GOOD, BAD)))
    return kept


def release(version: str) -> Release:
    """A release of it, which has one setting more than what runs before."""
    return Release("json-server", version, f"json-server:{version}", {"NODE_OPTIONS": "--max-old-space-size=200"})


def visitors(url: str) -> AbstractContextManager[Counter[int]]:
    """People who ask for posts, for all there is, and who send what nobody can read."""

    def asked(number: int) -> tuple[str, str, bytes | None]:
        # No multiple of the number of instances, which are asked in turn: each gets some of everything.
        if number % 13 == 0:
            return "POST", "/comments", b'{"body": '
        return "GET", "/db" if number % 11 == 0 else f"/posts/{number % 29 + 1}", None

    return visiting(url, asked, before=400)
