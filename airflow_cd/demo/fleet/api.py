"""The HTTP deployment API of the fleet."""

from __future__ import annotations

import hmac
import json
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from airflow_cd.demo.fleet.environment import Answer, Environment
from airflow_cd.demo.fleet.errors import ApiError
from airflow_cd.demo.fleet.faults import PATH as FAULTS_PATH
from airflow_cd.demo.fleet.faults import Fault, Faults
from airflow_cd.demo.shop.artifacts import ARTIFACTS
from airflow_cd.errors import ReleaseError
from airflow_cd.release import Release

MAX_BODY = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger("fleet.api")


def api_app(environments: Mapping[str, Environment], token: str) -> web.Application:
    """The API as an application.

    :param token: the bearer token that every caller needs.
    """
    return _Api(environments, token).app()


class _Api:
    def __init__(self, environments: Mapping[str, Environment], token: str) -> None:
        self._environments = environments
        self._token = token
        self._faults = Faults()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        environment = "/v1/environments/{environment}"
        app.add_routes(
            [
                web.get(environment + "/instances", self._instances),
                web.get(environment + "/traffic", self._traffic),
                web.put(environment + "/release", self._put_release),
                web.post(environment + "/drain", self._drain),
                web.post(environment + "/restore", self._restore),
                web.get("/v1/artifacts/{artifact:.+}", self._artifact),
                web.get(FAULTS_PATH, self._list_faults),
                web.put(FAULTS_PATH, self._add_fault),
                web.delete(FAULTS_PATH, self._clear_faults),
                web.post(FAULTS_PATH + "/kill", self._kill),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask who is asking, let faults happen, and say every error in the API's own form."""
        try:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                raise ApiError(401, "unauthorized", "a valid bearer token is needed", {"WWW-Authenticate": "Bearer"})
            return await self._faults.apply(request, handler)
        except ApiError as error:
            return _error(error.status, error.code, error.message, error.headers)
        except web.HTTPException as error:
            code = error.reason.lower().replace(" ", "_")
            return _error(error.status, code, f"{request.method} {request.path}: {error.reason}")
        except Exception:  # noqa: BLE001 - a defect is answered too, and logged
            _log.exception("%s %s failed", request.method, request.path)
            return _error(500, "internal", "the deployment API failed; its log says why")

    async def _instances(self, request: web.Request) -> web.Response:
        environment = self._environment(request)
        instances = [instance.describe() for instance in environment.instances.values()]
        return web.json_response({"environment": environment.name, "instances": instances})

    async def _traffic(self, request: web.Request) -> web.Response:
        environment = self._environment(request)
        instances = [instance.describe_traffic() for instance in environment.instances.values()]
        return web.json_response({"environment": environment.name, "instances": instances})

    async def _artifact(self, request: web.Request) -> web.Response:
        artifact = request.match_info["artifact"]
        _check_artifact(artifact)
        return web.json_response({"artifact": artifact})

    async def _put_release(self, request: web.Request) -> web.Response:
        environment, body = self._environment(request), await _json(request)
        if "release" not in body:
            raise ApiError(400, "bad_body", 'the body has no "release"; null empties the instances')
        release = None if body["release"] is None else _release(body["release"])

        async def change() -> Answer:
            instances = environment.named(_names(body))
            for instance in instances:
                instance.deploy(release)
            return {"accepted": [instance.name for instance in instances]}

        return web.json_response(await _change(request, environment, body, change), status=202)

    async def _drain(self, request: web.Request) -> web.Response:
        environment, body = self._environment(request), await _json(request)

        async def change() -> Answer:
            instances = environment.named(_names(body))
            await environment.drain(instances)
            return {"instances": [instance.name for instance in instances]}

        return web.json_response(await _change(request, environment, body, change))

    async def _restore(self, request: web.Request) -> web.Response:
        environment, body = self._environment(request), await _json(request)

        async def change() -> Answer:
            instances = environment.named(_names(body))
            for instance in instances:
                instance.drained = False
            return {"instances": [instance.name for instance in instances]}

        return web.json_response(await _change(request, environment, body, change))

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": self._faults.describe()})

    async def _add_fault(self, request: web.Request) -> web.Response:
        self._faults.add(Fault.parse(await _json(request)))
        return await self._list_faults(request)

    async def _clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear(request.query.get("path_prefix", ""))
        return await self._list_faults(request)

    async def _kill(self, request: web.Request) -> web.Response:
        """Send a process a signal, KILL unless the body says STOP, CONT or TERM; or kill the next one that starts."""
        body = await _json(request)
        environment = self._find(str(body.get("environment")))
        [instance] = environment.named([str(body.get("instance"))])
        if body.get("next_start"):
            instance.kill_next_start = True
            return web.json_response({"instance": instance.name, "pid": None})
        name = str(body.get("signal", "KILL"))
        if name not in ("KILL", "STOP", "CONT", "TERM"):
            raise ApiError(400, "bad_body", f"signal {name!r} is not one of KILL, STOP, CONT, TERM")
        process = instance.process
        if process is None or process.pid is None:
            raise ApiError(400, "nothing_runs", f"no process runs on {instance.name}")
        process.send_signal(signal.Signals[f"SIG{name}"])
        if name == "KILL":
            await process.ended()
        return web.json_response({"instance": instance.name, "pid": process.pid})

    def _environment(self, request: web.Request) -> Environment:
        return self._find(request.match_info["environment"])

    def _find(self, name: str) -> Environment:
        if name not in self._environments:
            known = ", ".join(self._environments)
            raise ApiError(404, "unknown_environment", f"there is no environment {name!r}, only {known}")
        return self._environments[name]


async def _change(
    request: web.Request, environment: Environment, body: dict[str, Any], change: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Make a change for a caller that was not overruled, once."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        raise ApiError(400, "missing_header", "every change needs an Idempotency-Key")
    try:
        token = int(request.headers["Fencing-Token"])
    except (KeyError, ValueError):
        raise ApiError(400, "missing_header", "every change needs a Fencing-Token, an integer") from None
    environment.fence(token)
    whole = f"{request.method} {request.path} {json.dumps(body, sort_keys=True)}"
    return await environment.once(key, whole, change)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise ApiError(400, "bad_body", f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ApiError(400, "bad_body", "the body is not a JSON object")
    return body


def _names(body: dict[str, Any]) -> list[str]:
    names = body.get("instances")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ApiError(400, "bad_body", '"instances" is not a list of names')
    return names


def _release(content: Any) -> Release:
    if not isinstance(content, dict):
        raise ApiError(400, "bad_body", '"release" is neither an object nor null')
    try:
        # The digest is the caller's own; only what is to run decides here.
        release = Release.from_dict({**content, "digest": None})
    except KeyError as error:
        raise ApiError(400, "bad_body", f'"release" has no {error}') from error
    except ReleaseError as error:
        raise ApiError(400, "bad_body", error.what) from error
    _check_artifact(release.artifact)
    return release


def _check_artifact(artifact: str) -> None:
    if artifact not in ARTIFACTS:
        raise ApiError(404, "unknown_artifact", f"there is no artifact {artifact!r}")


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status, headers=headers)
