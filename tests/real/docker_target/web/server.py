"""A small web server: says which release it is, and fails in the way that its image, or its configuration, asks for."""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = os.environ["WEB_VERSION"]
FAULT = os.environ.get("WEB_FAULT", "")
FILE = Path("/etc/web/motd")
BEGAN, LATE = time.monotonic(), 4.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.partition("=")[2] or 1))
        not_yet = FAULT == "late" and time.monotonic() < BEGAN + LATE
        sick = self.path == "/health" and (FAULT == "unhealthy" or not_yet)
        answer = {
            "version": VERSION,
            "greeting": os.environ.get("WEB_GREETING"),
            "motd": FILE.read_text() if FILE.exists() else None,
            "host": os.uname().nodename,
        }
        body = json.dumps(answer).encode()
        self.send_response(500 if sick else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


if FAULT == "crash":
    sys.stderr.write("reading the catalogue\nImportError: cannot import name 'parse_prices'\n")
    sys.exit(3)
server = ThreadingHTTPServer(("", 8000), Handler)
server.daemon_threads = False
if FAULT != "deaf":
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
else:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stdout.write(f"web {VERSION} serves\n")
server.serve_forever(poll_interval=0.05)
server.server_close()
