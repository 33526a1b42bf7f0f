"""What the shop's pages are given and what they answer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A request: ``GET /product/chair-017?colour=red`` has the page *product* and the item *chair-017*."""

    method: str
    page: str
    item: str
    query: dict[str, str]
    form: dict[str, Any]

    @classmethod
    def parse(cls, method: str, target: str, body: bytes) -> Request:
        """Read the request line's target and a JSON body; a body that is no JSON object is an empty form."""
        address = urlsplit(target)
        page, _, item = unquote(address.path).lstrip("/").partition("/")
        try:
            form = json.loads(body) if body else {}
        except ValueError:
            form = {}
        return cls(method, page, item, dict(parse_qsl(address.query)), form if isinstance(form, dict) else {})


@dataclass(frozen=True)
class Response:
    """An answer: a page with a title and paragraphs, or a file when there is ``content``."""

    title: str
    paragraphs: tuple[str, ...] = ()
    status: int = 200
    content: bytes | None = None
    content_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    def render(self, footer: str) -> bytes:
        """The bytes to send."""
        if self.content is not None:
            return self.content
        text = "".join(f"<p>{escape(paragraph)}</p>\n" for paragraph in self.paragraphs)
        title = escape(self.title)
        return (
            f"<!doctype html>\n<html lang=en><title>{title}</title>\n<h1>{title}</h1>\n{text}"
            f"<footer>{escape(footer)}</footer></html>\n"
        ).encode()
