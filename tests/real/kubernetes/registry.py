"""A registry of images inside the cluster's network, as its nodes reach one, and images pushed to it by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from urllib.parse import urlsplit

import requests

from tests.real.docker_target.registry import FILE
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.images import BUSYBOX, COMMAND, add, script

PORT = 5000
NAME = f"127.0.0.1:{PORT}"
"""What images of it begin with: loopback needs no TLS."""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """A registry that the nodes pull from; it ends with the cluster.

    :param cluster: whose it is.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._address = f"{urlsplit(cluster.url).hostname}:{PORT}"
        self._url = f"http://{self._address}/v2"
        self._session = requests.Session()
        self._session.trust_env = False
        folder = cluster.folder / "registry"
        folder.mkdir()
        written = FILE.format(folder=folder / "data", port=PORT).replace("127.0.0.1:", ":")
        # What is deleted is to be gone at once.
        written = written.replace("storage: {", "storage: {delete: {enabled: true}, ")
        (folder / "config.yml").write_text(written)
        self._command = [shutil.which("docker-registry") or "docker-registry", "serve", str(folder / "config.yml")]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._cluster.part("registry", self._command)
        self._cluster.until(lambda: self._session.get(f"{self._url}/", timeout=5).ok, "the registry answers")

    def stop(self) -> None:
        """End it, as a machine that is switched off."""
        part = self._cluster.parts.pop("registry")
        part.kill()
        part.wait()

    def push(self, repository: str, tag: str, version: str, more: str = "") -> str:
        """Push a web server as :func:`tests.real.kubernetes.images.web` makes one; moves the tag if it is there.

        :returns: its digest.
        """
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            add(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
            add(tar, "bin/run", script(version, more), 0o755)
        packed = gzip.compress(layer.getvalue(), mtime=0)
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": COMMAND, "Env": ["PATH=/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
            }
        ).encode()
        kinds = ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        blobs = [self._blob(repository, kind, blob) for kind, blob in zip(kinds, (config, packed), strict=True)]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": blobs[1:]}
        address, headers = f"{self._url}/{repository}/manifests/{tag}", {"Content-Type": MANIFEST}
        put = self._session.put(address, data=json.dumps(manifest), headers=headers, timeout=10)
        put.raise_for_status()
        return put.headers["Docker-Content-Digest"]

    def remove(self, repository: str, digest: str) -> None:
        """Delete an image, as a registry that keeps none for long does."""
        self._session.delete(f"{self._url}/{repository}/manifests/{digest}", timeout=10).raise_for_status()

    def _blob(self, repository: str, kind: str, blob: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        begun = self._session.post(f"{self._url}/{repository}/blobs/uploads/", timeout=10)
        begun.raise_for_status()
        where, more = begun.headers["Location"].replace(NAME, self._address), {"digest": digest}
        self._session.put(where, params=more, data=blob, timeout=10).raise_for_status()
        return {"mediaType": kind, "size": len(blob), "digest": digest}
