"""Errors of the deployment API."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """A request that is refused.

    :param status: HTTP status.
    :param code: the reason in a word, for programs.
    :param message: the reason in a sentence, for people.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
