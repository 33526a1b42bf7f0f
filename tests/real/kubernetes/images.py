"""Small images, written without an engine: a web server of busybox whose answers say what it is."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
PAUSE = "localhost/pause:1"
WEB = """#!/bin/busybox sh
/bin/busybox mkdir -p /www
echo "{version} ${{GREETING:-none}}" > /www/index.html
echo "INFO web {version} is up"
{more}
exec /bin/busybox httpd -f -p 8080 -h /www
"""


COMMAND = ["/bin/busybox", "sh", "/bin/run"]


def script(version: str, more: str = "") -> bytes:
    """What the web server begins with.

    :param version: what it answers, beside the variable GREETING.
    :param more: further lines.
    """
    return WEB.format(version=version, more=more).encode()


def write_image(path: Path, name: str, files: Mapping[str, tuple[bytes, int]], command: Sequence[str]) -> Path:
    """Write an archive of one layer as ``docker save`` does.

    :param path: of the archive.
    :param name: of the image, with its tag.
    :param files: by name, content and mode.
    :param command: that a container of it runs.
    """
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for member, (content, mode) in files.items():
            add(tar, member, content, mode)
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": list(command), "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        add(tar, config_name, config)
        add(tar, f"{digest}/layer.tar", layer.getvalue())
        add(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def pause(folder: Path) -> Path:
    """The image that every pod has for its sandbox."""
    content = BUSYBOX.read_bytes()
    command = ["/bin/busybox", "sleep", "2147483647"]
    return write_image(folder / "pause.tar", PAUSE, {"bin/busybox": (content, 0o755)}, command)


def web(folder: Path, version: str, more: str = "") -> Path:
    """A web server that answers its version and the variable GREETING.

    :param folder: where the archive goes.
    :param version: the image's tag is the same.
    :param more: further lines of its start script.
    """
    files = {"bin/busybox": (BUSYBOX.read_bytes(), 0o755), "bin/run": (script(version, more), 0o755)}
    return write_image(folder / f"web-{version}.tar", f"localhost/web:{version}", files, COMMAND)


def add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Put a file into an archive."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))
