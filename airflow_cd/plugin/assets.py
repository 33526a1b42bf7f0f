"""The style and the script of the pages."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from airflow_cd.plugin.access import SIGNED_IN
from airflow_cd.plugin.rendering import FOLDER, HEADERS, templates

router = APIRouter(prefix="/static", dependencies=SIGNED_IN)

_KEPT = {**HEADERS, "Cache-Control": "private, max-age=300"}


@router.get("/pages.css")
def style() -> Response:
    """The style, colours and report included."""
    content = templates().get_template("pages.css").render()
    return Response(content, media_type="text/css", headers=_KEPT)


@router.get("/pages.js")
def script() -> Response:
    """The script; every page does without it."""
    return Response((FOLDER / "static" / "pages.js").read_bytes(), media_type="text/javascript", headers=_KEPT)
