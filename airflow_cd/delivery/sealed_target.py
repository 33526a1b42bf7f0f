"""A target as a delivery sees it: with references where an instance has secrets.

A secret is looked up when the target is called and given to the target alone. What the target reads back is turned
into references again before anything else sees it, by the keyed digests of what instances were given; a secret that no
reference explains (something else deployed it) is sealed, so that a rollback can give it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_cd.delivery.given_values import GivenValues
from airflow_cd.errors import AirflowCdError, LedgerError
from airflow_cd.http.redaction import Redactor
from airflow_cd.release import Release
from airflow_cd.secret_values.references import PLAIN, SEALED, SECRET, Reference, leaves, name_of, replaced, texts
from airflow_cd.secret_values.resolving import Resolver
from airflow_cd.secret_values.sealing import Sealer, configured_sealer
from airflow_cd.targets.base import makes_replicas

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger
    from airflow_cd.targets.base import Instance, Target

_SHORTEST_REDACTED = 4


class SealedTarget:
    """One environment, without its secrets; has all methods of the target it stands for.

    :param target: the environment.
    :param ledger: keeps the digests of what instances were given; None while it is away.
    :param service: what is deployed.
    :param environment: name of the environment.
    :param log: called with one line at a time.
    :param resolver: looks references up.
    :param sealer: makes digests and seals; with Airflow's keys by default.
    """

    def __init__(
        self,
        target: Target,
        ledger: Ledger | None,
        *,
        service: str,
        environment: str,
        log: Callable[[str], None],
        resolver: Resolver | None = None,
        sealer: Sealer | None = None,
    ) -> None:
        self._target = target
        self._log = log
        self._resolver = resolver or Resolver()
        self._without_ledger = ledger is None
        self._values = GivenValues(ledger, service, environment, sealer or configured_sealer())
        self._secrets: set[str] = set()
        self.redact = Redactor()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    # -- what a target answers and does --------------------------------------------------------------------------

    def instances(self) -> list[Instance]:
        """What runs where, with references and sealed values in the place of secrets.

        :raises TargetError: it cannot be read.
        """
        with self._without_secrets():
            return [self._sealed(instance) for instance in self._target.instances()]

    def check(self, release: Release) -> None:
        """Check that the release can be deployed: its artifact is there, and so are its secrets.

        :param release: about to be deployed.
        :raises ReleaseError: a reference leads nowhere.
        :raises SecretUnavailable: a secret cannot be looked up now.
        :raises TargetError: as of the target.
        """
        for path, text in texts(release.configuration):
            if text.startswith(SECRET):
                self._values.expect(path, text, self._present(text))
        self._values.expect_literally(release)
        with self._without_secrets():
            self._target.check(release)

    def deploy(
        self,
        release: Release | None,
        instances: Sequence[str],
        *,
        key: str,
        token: int,
        share: int = 100,
        traffic: int | None = None,
    ) -> None:
        """Give instances a release, with the secrets as they are now.

        :param release: what to run; None for nothing.
        :param instances: their names, or tracks of replicas.
        :param share: percent of the environment that a canary's replicas are to be; of no effect on named instances.
        :param traffic: percent of the requests that a canary is to have, where its share does not say it.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises ReleaseError: a reference leads nowhere.
        :raises SecretUnavailable: a secret cannot be looked up now.
        :raises TargetError: as of the target.
        """
        self._give(release, instances, key, token, self._value, share=share, traffic=traffic)

    def give_back(
        self,
        release: Release | None,
        instances: Sequence[str],
        *,
        key: str,
        token: int,
        share: int = 100,
        traffic: int | None = None,
    ) -> None:
        """Give instances the release they ran before, with the secrets they ran with where another instance has them.

        A secret that was changed since is not what was seen to work. Where no instance has the one from before any
        more, the present one is given; where that cannot be looked up, one that any instance was given for the same
        reference: a rollback does not wait for a secrets backend.

        :param release: what ran; the others as of :meth:`deploy`.
        """
        try:
            running = self._target.instances()
        except AirflowCdError:
            running = []
        others = [one for one in running if one.unit not in instances]

        def value(path: str, text: str) -> str:
            if text.startswith(SECRET) and release is not None:
                alike = [one for one in others if self._sealed(one).runs(release)]
                if kept := self._values.kept(alike, path, text):
                    return kept
                if self._without_ledger and (kept := _value_of_others(others, release, path)):
                    return kept
                try:
                    return self._present(text)
                except AirflowCdError as error:
                    if not (kept := self._values.kept(running, path, text)):
                        raise
                    self._log(f"{name_of(path)}: {error.what} It is given back as an instance here still has it.")
                    return kept
            return self._value(path, text)

        self._give(release, instances, key, token, value, share=share, traffic=traffic, certain=False)

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """As of the target."""
        self._target.drain(instances, key=key, token=token)

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """As of the target."""
        self._target.restore(instances, key=key, token=token)

    # -- inside --------------------------------------------------------------------------------------------------

    def _present(self, text: str) -> str:
        value = self._resolver.value(Reference.parse(text))
        self._hide(value)
        return value

    def _value(self, path: str, text: str) -> str:
        """What the target is to get for a text of a configuration."""
        if text.startswith(SECRET):
            return self._present(text)
        if text.startswith(SEALED):
            value = self._values.sealer.open(text, path)
            self._hide(value)
            return value
        return text.removeprefix(PLAIN)

    def _give(
        self,
        release: Release | None,
        instances: Sequence[str],
        key: str,
        token: int,
        value: Callable[[str, str], str],
        *,
        share: int,
        traffic: int | None = None,
        certain: bool = True,
    ) -> None:
        resolved, given = release, {}
        if release is not None:
            configuration = replaced(release.configuration, value)
            given = {
                path: (written, sent)
                for (path, written), (_, sent) in zip(texts(release.configuration), texts(configuration), strict=True)
                if written != sent
            }
            if given:
                resolved = Release(release.service, release.version, release.artifact, configuration)
        try:
            for path in self._values.record(given):
                self._log(f"{name_of(path)}: {given[path][0]} has another value than this environment had before.")
        except LedgerError as away:
            if certain:
                raise
            self._log(f"The digests of secrets were not recorded: {away.what}")
        self._values.gave(instances, release, given)
        with self._without_secrets():
            # Instances with names are as many as there are: their target knows no shares.
            part = {"share": share} if makes_replicas(self._target) else {}
            if part and traffic is not None:
                part["traffic"] = traffic
            self._target.deploy(resolved, instances, key=key, token=token, **part)

    def _sealed(self, instance: Instance) -> Instance:
        configuration = replaced(instance.configuration, lambda path, text: self._written(instance.unit, path, text))
        return replace(instance, configuration=configuration, message=self.redact(instance.message))

    def _written(self, unit: str, path: str, text: str) -> str:
        written = self._values.written(unit, path, text)
        if written.startswith((SECRET, SEALED)):
            self._hide(text)
        return written

    def _hide(self, value: str) -> None:
        """Keep a secret out of logs, Airflow's and ours, and of what the target says."""
        if value in self._secrets or len(value) < _SHORTEST_REDACTED:
            return
        from airflow.sdk.log import mask_secret

        self._secrets.add(value)
        mask_secret(value)
        self.redact = Redactor(self._secrets)

    @contextmanager
    def _without_secrets(self) -> Iterator[None]:
        """Errors of the target quote no secret, whatever the server wrote into its answer."""
        try:
            yield
        except AirflowCdError as error:
            error.what = self.redact(error.what)
            error.state = self.redact(error.state) if error.state else error.state
            error.args = (error.what,)
            raise


def _value_of_others(others: Sequence[Instance], release: Release, path: str) -> str | None:
    """What stands at a path on an instance that was not touched and runs the release, as far as that can be seen.

    Which value came from which reference, only the ledger knows.
    """
    seen = {where: text for where, text in leaves(release.configuration) if not _stands_for_one(text)}
    paths = {where for where, _ in leaves(release.configuration)}
    for one in others:
        has = dict(leaves(one.configuration))
        same = one.artifact == release.artifact and set(has) == paths and seen.items() <= has.items()
        if same and isinstance(has[path], str):
            return str(has[path])
    return None


def _stands_for_one(text: Any) -> bool:
    return isinstance(text, str) and text.startswith((SECRET, SEALED, PLAIN))


def without_secrets(values: Any, redact: Callable[[str], str]) -> Any:
    """JSON values whose texts hold no secret; names as well.

    :param values: JSON values.
    :param redact: removes them from a text.
    """
    if isinstance(values, Mapping):
        return {
            redact(name) if isinstance(name, str) else name: without_secrets(member, redact)
            for name, member in values.items()
        }
    if isinstance(values, (list, tuple)):
        return [without_secrets(member, redact) for member in values]
    return redact(values) if isinstance(values, str) else values
