"""An admission webhook: a small server that the API server asks before a pod is made, and what it says then."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.real.engine import run
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.settings import base64_of

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
NAME = "pods.policy.example.com"


class _Refusing(BaseHTTPRequestHandler):
    says = ""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = {"allowed": False, "status": {"message": self.says, "code": 403}}
        answer = {"uid": asked["request"]["uid"], **refused}
        body = json.dumps({"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said: Any) -> None:
        """Nothing."""


@contextmanager
def refusing(cluster: Cluster, says: str, app: str) -> Iterator[ThreadingHTTPServer]:
    """A webhook that refuses every new pod of a service; one that is shut down is away and still in force.

    :param cluster: where it is in force.
    :param says: its reason.
    :param app: the value of the pods' label ``app``.
    """
    handler = type("Refusing", (_Refusing,), {"says": says})
    here = _address(cluster)
    server = ThreadingHTTPServer((here, 0), handler)
    key, certificate = _certificate(cluster.folder, here)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    authority = base64_of(cluster.folder / "certs" / "ca.crt")
    url = f"https://{here}:{server.server_address[1]}/"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    hook = {
        "name": NAME,
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [rule],
        "objectSelector": {"matchLabels": {"app": app}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
    }
    made = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    cluster.call("POST", CONFIGURATIONS, {**made, "metadata": {"name": "policy"}, "webhooks": [hook]})
    try:
        yield server
    finally:
        cluster.call("DELETE", f"{CONFIGURATIONS}/policy")
        server.shutdown()
        server.server_close()
        serving.join()


def _address(cluster: Cluster) -> str:
    """This machine's, as the cluster reaches it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((urlsplit(cluster.url).hostname, 9))  # sends nothing
        address: str = link.getsockname()[0]
    return address


def _certificate(folder: Path, address: str) -> tuple[Path, Path]:
    certs = folder / "certs"
    key, request, made, names = (certs / f"webhook.{end}" for end in ("key", "csr", "crt", "names"))
    if not made.exists():
        run(
            [
                *("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=webhook"),
                *("-keyout", str(key), "-out", str(request)),
            ]
        )
        names.write_text(f"subjectAltName=IP:{address}\n")
        signing = ("-CA", str(certs / "ca.crt"), "-CAkey", str(certs / "ca.key"), "-CAcreateserial", "-days", "30")
        run(["openssl", "x509", "-req", "-in", str(request), *signing, "-out", str(made), "-extfile", str(names)])
    return key, made
