"""The traffic of an alias: two versions by weight, and a note in its description, written in one conditional call."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.aws_lambda import Absent, Busy, LambdaApi, Outdated
from airflow_cd.instances import WHOLE
from airflow_cd.targets.revisions import Serving

LONGEST = 256
"""Letters of a description."""
NOTE = 180
"""Letters that a note may need, with what stands around it."""
LATEST = "$LATEST"
_NOTE = re.compile(r"\s*\[(airflow-cd [^\]]*)\]")


class Alias:
    """One alias of a function.

    :param api: Lambda.
    :param function: name or ARN of the function.
    :param name: of the alias.
    :param sleep: called with seconds to wait.
    """

    def __init__(
        self, api: LambdaApi, function: str, name: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._api = api
        self._function = function
        self._name = name
        self._sleep = sleep
        self._own: dict[str, str] = {}

    def read(self) -> Mapping[str, Any]:
        """The alias, as Lambda answers it.

        :raises TargetRejected: there is none.
        """
        try:
            return self._api.call("get_alias", FunctionName=self._function, Name=self._name)
        except Absent:
            raise TargetRejected(
                f"function {self._function} has no alias {self._name}, or there is no such function.",
                state="nothing was changed.",
                next_step=f"aws lambda create-alias --function-name {self._function} --name {self._name} "
                "--function-version <a published version>, and have callers use it.",
            ) from None

    def serving(self) -> Serving:
        """Which versions serve.

        :raises TargetError: it cannot be read.
        """
        found = self.read()
        noted = _NOTE.search(str(found.get("Description") or ""))
        primary, more = str(found["FunctionVersion"]), _additional(found)
        weights = {primary: WHOLE - sum(more.values()), **more}
        mark = f"{found.get('RevisionId', '')} {primary}"
        # What is written on the condition that nothing has changed needs not be read again: a drain is in a hurry.
        self._own = {mark: own_description(str(found.get("Description") or ""))}
        return Serving(
            {name: weight for name, weight in weights.items() if weight > 0}, noted[1] if noted else "", mark
        )

    def serve(self, weights: Mapping[str, float], note: str, *, mark: str) -> bool:
        """Divide the traffic; see :meth:`~airflow_cd.targets.revisions.RevisionTarget.serve`.

        :param weights: percent by version, of one or two.
        :param note: kept in the description, after what people have written there.
        :param mark: of :meth:`serving`.
        :raises TargetRejected: an alias cannot divide it so.
        """
        if not 1 <= len(weights) <= 2:
            raise TargetRejected(
                f"an alias has one version or two, and not {len(weights)}.", state="nothing was changed by this call."
            )
        revision, _, was = mark.partition(" ")
        # Whoever clears the weights by hand leaves the version itself: that is to be the one that was there.
        primary = was if was in weights else max(sorted(weights), key=lambda name: weights[name])
        more = {name: round(weight / WHOLE, 4) for name, weight in weights.items() if name != primary}
        own = self._own[mark] if mark in self._own else own_description(str(self.read().get("Description") or ""))
        room = LONGEST - len(note) - len(" []")
        try:
            self._api.call(
                "update_alias",
                FunctionName=self._function,
                Name=self._name,
                FunctionVersion=primary,
                RoutingConfig={"AdditionalVersionWeights": more},
                Description=f"{own[: max(room, 0)]} [{note}]".strip(),
                **({"RevisionId": revision} if revision else {}),
            )
        except Outdated:
            return False
        except Busy:
            self._sleep(0.5)
            return False
        return True


def own_description(description: str) -> str:
    """What people have written into the description of an alias.

    :param description: the whole of it.
    """
    return _NOTE.sub("", description).strip()


def _additional(alias: Mapping[str, Any]) -> dict[str, float]:
    found = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return {str(name): round(float(weight) * WHOLE, 2) for name, weight in found.items()}
