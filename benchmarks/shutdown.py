"""How long does a process still log after another one has taken its place? The default of ``Verification(grace=...)``.

    .venv/bin/python -m benchmarks.shutdown --times 10

Servers of three kinds get requests that take as long as those of a busy shop (a fifth of a second on average, one in a
hundred ten times that), then no more, and SIGTERM, as they do when a new process is healthy beside them. What is
measured is the time from then to their last log line.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

UVICORN = """
import asyncio, sys, uvicorn
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await asyncio.sleep(float(scope["path"].strip("/") or 0))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
uvicorn.run(app, port=int(sys.argv[1]))
"""
AIOHTTP = """
import asyncio, logging, sys
from aiohttp import web
logging.basicConfig(level=logging.INFO)
async def answer(request):
    await asyncio.sleep(float(request.match_info["seconds"] or 0))
    return web.Response(text="ok")
app = web.Application()
app.router.add_get("/{seconds:.*}", answer)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
"""
NODE = """
const http = require("http");
const server = http.createServer((request, response) => {
  setTimeout(() => { console.log("served " + request.url); response.end("ok"); }, 1000 * Number(request.url.slice(1)));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
process.on("SIGTERM", () => {
  console.log("closing");
  server.close(() => { console.log("closed"); process.exit(0); });
});
"""
SERVERS = {"uvicorn": (sys.executable, ".py", UVICORN), "aiohttp": (sys.executable, ".py", AIOHTTP)}
SECONDS, RATE = 4.0, 40.0


def main() -> int:
    """Print the seconds to the last line: half of the times, and at most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times: int = parser.parse_args().times
    node = shutil.which("node")
    servers = {**SERVERS, **({"node": (node, ".js", NODE)} if node else {})}
    for name, (program, ending, source) in servers.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"server{ending}"
            path.write_text(source)
            found = sorted(asyncio.run(_last_line([program, str(path)], Path(folder), seed)) for seed in range(times))
        print(f"{name:<8} {times} shutdowns: median {found[len(found) // 2]:.1f} s, longest {found[-1]:.1f} s")
    return 0


async def _last_line(command: list[str], folder: Path, seed: int) -> float:
    """Seconds from the switch to the last line that the process logged."""
    chance, log = random.Random(seed), folder / f"{seed}.log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, str(port), stdout=out, stderr=out)
    async with aiohttp.ClientSession() as session:

        async def visit() -> None:
            seconds = chance.expovariate(5.0) * (10 if chance.random() < 0.01 else 1)
            try:
                await (await session.get(f"http://127.0.0.1:{port}/{seconds:.3f}")).read()
            except aiohttp.ClientError:
                return

        await asyncio.sleep(1.5)
        visits = []
        for _ in range(round(SECONDS * RATE)):
            visits.append(asyncio.create_task(visit()))
            await asyncio.sleep(1 / RATE)
        switched = time.time()
        process.terminate()
        await asyncio.gather(*visits)
    await process.wait()
    return max(0.0, log.stat().st_mtime - switched)


if __name__ == "__main__":
    sys.exit(main())
