"""What a page of ours asks of Airflow's own API, in the reader's name.

It goes through the same middleware as every other request: who may do what, what is recorded and how an early answer
waits for its task are decided in one place.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
from fastapi import Request

KEPT = ("authorization", "cookie", "host", "origin")


async def ask_airflow(request: Request, method: str, place: list[str], body: dict[str, Any]) -> tuple[int, str] | None:
    """Ask; status and words of Airflow's refusal, None when it did what was asked.

    :param place: the parts of the address below ``/api/v2/dags``.
    """
    server: Any = request.scope["airflow_cd.server"]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=server), base_url=str(request.base_url.replace(path="/"))
    ) as client:
        answered = await client.request(
            method,
            "/api/v2/dags/" + "/".join(quote(part, safe="") for part in place),
            json=body,
            headers={name: value for name, value in request.headers.items() if name in KEPT},
        )
    if answered.is_success:
        return None
    try:
        detail = answered.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answered.text
    return answered.status_code, f"Airflow did not take it ({answered.status_code}): {detail}"
