"""The router of an environment: a reverse proxy that gives each request to the instance whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from airflow_cd.demo.fleet.environment import Environment
from airflow_cd.demo.fleet.process import ShopProcess

INSTANCE_SECONDS = 10.0
_OF_ONE_CONNECTION = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
    }
)


def router_app(environment: Environment, session: aiohttp.ClientSession) -> web.Application:
    """The router as an application.

    It answers 503 when no instance takes requests, 502 when an instance broke off, 504 when it took too long.
    A request that no instance has received yet goes to the next one.
    """
    limit = aiohttp.ClientTimeout(total=INSTANCE_SECONDS)

    async def route(request: web.Request) -> web.Response:
        body = await request.read()
        headers = _passed_on(request.headers)
        headers["X-Forwarded-For"] = request.remote or "unknown"
        refused: list[ShopProcess] = []
        while (process := environment.pick(exclude=refused)) is not None:
            try:
                with process.request():
                    async with session.request(
                        request.method,
                        URL(process.url + request.raw_path, encoded=True),
                        headers=headers,
                        data=body or None,
                        allow_redirects=False,
                        timeout=limit,
                    ) as answer:
                        content = await answer.read()
                        return web.Response(status=answer.status, headers=_passed_on(answer.headers), body=content)
            except aiohttp.ClientConnectorError:
                refused.append(process)
            except asyncio.TimeoutError:
                return web.Response(status=504, text=f"an instance of {environment.name} took too long\n")
            except aiohttp.ClientError:
                return web.Response(status=502, text=f"an instance of {environment.name} broke off\n")
        return web.Response(status=503, text=f"no instance of {environment.name} takes requests\n")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", route)
    return app


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION)
