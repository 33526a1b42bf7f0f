"""The images of ``docker/docker-compose.yml``, where no registry of images can be reached."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .engine import Engine, EngineError

REPOSITORY = Path(__file__).parents[2]
CACHE = Path(os.environ.get("AIRFLOW_CD_REAL_CACHE", REPOSITORY / ".cache" / "real")).resolve()
"""What outlives a run: what takes minutes to build."""
STAND_INS = Path(__file__).with_name("stand_ins")

TRUST = Path("/etc/ssl/certs/ca-certificates.crt")
PACKAGES = ("ca-certificates", "python3", "python3-venv")
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
BOOTSTRAP = [
    "mmdebstrap",
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    "--dpkgopt=force-unsafe-io",
    *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
    # The names that the official image has, and whom this machine trusts.
    '--customize-hook=ln -s python3 "$1/usr/bin/python"',
    f'--customize-hook=cat {TRUST} > "$1{TRUST}"',
    "bookworm",
    "-",
]


@dataclass(frozen=True)
class Images:
    """Names of images, as the variables of ``docker/.env`` have them."""

    base: str
    airflow_cd: str
    postgres: str
    redis: str

    def variables(self) -> dict[str, str]:
        """As environment variables for the compose file."""
        return {
            "BASE_IMAGE": self.base,
            "AIRFLOW_CD_IMAGE": self.airflow_cd,
            "POSTGRES_IMAGE": self.postgres,
            "REDIS_IMAGE": self.redis,
        }


def build(engine: Engine) -> Images:
    """Build them all; a second time that takes seconds."""
    images = Images(base(engine), "airflow-cd:real", "postgres:real", "redis:real")
    for name in ("postgres", "redis"):
        engine.build(f"{name}:real", STAND_INS / name, base=images.base)
    file = ("--file", str(REPOSITORY / "docker" / "Dockerfile"))
    # Named, so that what is cleared away below is not the stage with what the package depends on.
    engine.build("airflow-cd:build", REPOSITORY, *file, "--target", "build", base=images.base)
    engine.build(images.airflow_cd, REPOSITORY, *file, base=images.base)
    engine("docker", "image", "prune", "--force")
    return images


def base(engine: Engine) -> str:
    """Debian with Python as ``python:3.11-slim-bookworm`` is, and with this machine's settings for pip.

    What it is made of is kept in a file: every daemon imports it in seconds.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    # Folders of this machine, which a container does not have.
    settings.pop("PIP_FIND_LINKS", None)
    settings["PIP_CERT"] = str(TRUST)
    changes = [f"--change=ENV {name}={value}" for name, value in sorted(settings.items())]
    recipe = "\0".join([*BOOTSTRAP, *changes]).encode() + TRUST.read_bytes()
    name = f"airflow-cd-base:{hashlib.sha256(recipe).hexdigest()[:12]}"
    if engine.has(name):
        return name
    imported = engine("docker", "import", *changes, str(_bootstrapped()))
    engine("docker", "tag", imported.strip(), name)
    return name


def _bootstrapped() -> Path:
    """The files of the base image, in one archive."""
    CACHE.mkdir(parents=True, exist_ok=True)
    recipe = "\0".join(BOOTSTRAP).encode() + TRUST.read_bytes()
    kept = CACHE / f"base-{hashlib.sha256(recipe).hexdigest()[:12]}.tar"
    if not kept.exists():
        part = CACHE / f"{kept.stem}-{os.getpid()}.part"
        with part.open("wb") as written:
            made = subprocess.run(BOOTSTRAP, stdout=written, stderr=subprocess.PIPE, text=True, check=False)
        if made.returncode:
            part.unlink()
            raise EngineError(f"no base image: {made.stderr[-2000:]}")
        part.rename(kept)
    return kept
