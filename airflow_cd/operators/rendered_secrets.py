"""Keeping secrets that somebody wrote into a run's configuration out of Airflow's rendered fields."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_cd.errors import ReleaseError
from airflow_cd.secret_values.detection import mistakes, suspicion
from airflow_cd.secret_values.references import leaves, name_of

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import BaseOperator, Context

    _Base = BaseOperator
else:
    _Base = object

_SHORTEST_MASKED = 5
"""A shorter one would hide letters in everything that is logged."""


class RefusesSecrets(_Base):
    """An operator whose rendered configuration is refused when it holds a secret, and not shown then.

    Airflow stores rendered fields before a task begins, so they are looked at as soon as they are rendered.
    """

    configuration_fields: ClassVar[Sequence[str]] = ("overrides",)
    refused_secrets: tuple[str, ...] = ()

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render as Airflow does, then hide what must not be there."""
        super().render_template_fields(context, jinja_env)
        found: list[str] = []
        for field in self.configuration_fields:
            if sentences := _secrets_of(getattr(self, field), field):
                found += sentences
                setattr(self, field, "(not shown: it holds a secret)")
        self.refused_secrets = tuple(found)

    def refuse_secrets(self) -> None:
        """Stop before anything is done with a configuration that held a secret.

        :raises ReleaseError: it did; names where, never what.
        """
        if self.refused_secrets:
            raise ReleaseError(
                f"{'; '.join(self.refused_secrets)}.",
                state="nothing was changed.",
                next_step="Change the secret, for it is in Airflow's database by now, and trigger again without it.",
            )


def _secrets_of(value: Any, field: str) -> list[str]:
    try:
        content = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return []  # it is refused for what it is
    if not isinstance(content, dict):
        return []
    found = list(mistakes(content, f"the run's {field}"))
    for path, leaf in leaves(content):
        if suspicion(path, leaf):
            _mask(str(leaf), name_of(path))
    return found


def _mask(value: str, name: str) -> None:
    if len(value) >= _SHORTEST_MASKED:
        from airflow.sdk.log import mask_secret

        mask_secret(value, name)
