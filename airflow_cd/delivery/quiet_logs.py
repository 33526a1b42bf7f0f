"""Logs without the secrets of what is watched: a service may log its own password, and evidence is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_cd.delivery.sealed_target import SealedTarget
    from airflow_cd.verification.samples import LogSample, LogSource, Window


class QuietLogs:
    """A source of logs whose records hold none of the secrets that a target's instances are known to have.

    :param source: the source.
    :param target: the environment that is watched.
    """

    def __init__(self, source: LogSource, target: SealedTarget) -> None:
        self._source = source
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """As of the source.

        :param window: when the records were logged.
        :param instances: names of the instances.
        """
        sample = self._source.read(window, instances)
        redact = self._target.redact
        if sample.frame.empty or not redact.knows_any:
            return sample
        messages = [_text(message) for message in sample.frame["message"]]
        # One search over all of them: hardly any log holds a secret.
        if not redact.finds("\n".join(messages)):
            return sample
        quiet = [redact.known(message) if redact.finds(message) else message for message in messages]
        return replace(sample, frame=sample.frame.assign(message=quiet))


def _text(message: object) -> str:
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
