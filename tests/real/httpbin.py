"""Software that is not ours: httpbin under gunicorn, and who visits it."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

from airflow_cd.release import Release
from tests.real import images
from tests.real.engine import Engine
from tests.real.visitors import visiting

GOOD, BAD_BOOT = "httpbin:0.10.1-werkzeug2", "httpbin:0.10.1-werkzeug3"
VARIABLE = "GUNICORN_CMD_ARGS"


def build(engine: Engine) -> None:
    """Build the images of the pair that boots and does not."""
    base = images.base(engine)
    context = Path(__file__).with_name("docker_target") / "httpbin"
    for name, werkzeug in ((GOOD, "2.2.3"), (BAD_BOOT, "3.0.6")):
        engine.build(name, context, "--build-arg", f"WERKZEUG={werkzeug}", base=base)


def archive(engine: Engine, cache: Path) -> Path:
    """Both images in one file, which is kept: no daemon is needed for it the next time.

    :param engine: of the daemon that has built them, or is to.
    :param cache: where it is kept.
    """
    kept = kept_in(cache)
    build(engine)
    if not kept.exists():
        engine("docker", "save", "--output", str(kept.with_suffix(".part").resolve()), GOOD, BAD_BOOT)
        kept.with_suffix(".part").rename(kept)
    return kept


def kept_in(cache: Path) -> Path:
    """Where the images are kept, which are others when their recipe is.

    :param cache: the folder.
    """
    recipe = Path(__file__).with_name("docker_target") / "httpbin" / "Dockerfile"
    made = "\0".join([recipe.read_text(), *images.BOOTSTRAP]).encode()
    return cache / f"httpbin-{hashlib.sha256(made).hexdigest()[:12]}.tar"


def arguments(timeout: int = 30) -> str:
    """What gunicorn is told beside its command: the pair that breaks by configuration alone has 30 and 1."""
    return f"--timeout {timeout} --access-logfile -"


def release(version: str, timeout: int = 30, artifact: str = GOOD) -> Release:
    """A release of it."""
    return Release("httpbin", version, artifact, {VARIABLE: arguments(timeout)})


def visitors(url: str, *, before: int = 0) -> AbstractContextManager[Counter[int]]:
    """People who ask for what is quick, and now and then for what takes two seconds.

    :param before: as of :func:`~tests.real.visitors.visiting`.
    """

    def asked(number: int) -> tuple[str, str, bytes | None]:
        return "GET", "/delay/2" if number % 12 == 0 else f"/get?page={number % 7}", None

    return visiting(url, asked, before=before)
