"""What a Docker host is asked, in this package's errors."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from airflow_cd.clock import machine_now
from airflow_cd.errors import ArtifactNotFound, TargetError, TargetRejected, TargetUnauthorized, TargetUnavailable
from airflow_cd.hooks.docker_connection import DockerConnection, not_installed
from airflow_cd.http.redaction import Redactor
from airflow_cd.targets.docker.health import read_time

FILE_MODE = 0o444
MAX_FILE = 16 * 1024 * 1024
_ABSENT = ("manifest unknown", "not found", "does not exist", "no such image", "name unknown")


class Gone(Exception):
    """The container, image or volume that was asked about is not there any more."""


class Refusal(Exception):
    """The daemon will not do it with this container; the text says why."""


class Engine:
    """One Docker host; connects when it is first asked something.

    Every method raises :class:`~airflow_cd.errors.TargetUnavailable` when the host does not answer or fails,
    :class:`~airflow_cd.errors.TargetUnauthorized` when it refuses the caller, and :class:`Gone` for what is not there.

    :param settings: how it is reached.
    """

    def __init__(self, settings: DockerConnection) -> None:
        self.settings = settings
        self._redact = Redactor(settings.credentials.values())

    @cached_property
    def _client(self) -> Any:
        return self.settings.client()

    # -- containers ------------------------------------------------------------------------------------------------

    def containers(self) -> list[dict[str, Any]]:
        """Every container, running or not."""
        with self._asked("list its containers"):
            found: list[dict[str, Any]] = self._client.containers(all=True)
            return found

    def inspect(self, container: str) -> dict[str, Any]:
        """Everything about one container.

        :param container: its id or name.
        """
        with self._asked(f"say what container {container[:64]} is"):
            found: dict[str, Any] = self._client.inspect_container(container)
            return found

    def create(self, payload: Mapping[str, Any], name: str) -> str:
        """Make a container, which is not started; returns its id.

        :param payload: as the daemon's API takes it.
        :param name: its name.
        :raises Refusal: the daemon will not make it.
        """
        with self._asked(f"make container {name}", refusals=True):
            return str(self._client.create_container_from_config(dict(payload), name)["Id"])

    def connect(self, container: str, network: str, endpoint: Mapping[str, Any]) -> None:
        """Connect a container to a network.

        :param container: its id.
        :param network: name of the network.
        :param endpoint: aliases and addresses, as the daemon's API takes them.
        :raises Refusal: the daemon will not do it.
        """
        with self._asked(f"connect a container to network {network}", refusals=True):
            # The SDK's own method leaves out what it does not know of an endpoint.
            url = self._client._url("/networks/{0}/connect", network)  # noqa: SLF001
            body = {"Container": container, "EndpointConfig": dict(endpoint)}
            self._client._raise_for_status(self._client._post_json(url, data=body))  # noqa: SLF001

    def start(self, container: str) -> None:
        """Start a container; one that runs is left alone.

        :param container: its id.
        :raises Refusal: it cannot be started: a port is taken, its program is not there.
        """
        with self._asked("start a container", refusals=True, server_too=True):
            self._client.start(container)

    def stop(self, container: str, grace: int) -> None:
        """Stop a container; one that is stopped is left alone.

        :param container: its id.
        :param grace: seconds until it is killed.
        """
        with self._asked("stop a container"):
            self._client.stop(container, timeout=grace)

    def rename(self, container: str, name: str) -> None:
        """Give a container another name.

        :param container: its id.
        :param name: its new name.
        :raises Refusal: another container has it.
        """
        with self._asked(f"rename a container to {name}", refusals=True):
            self._client.rename(container, name)

    def remove(self, container: str) -> None:
        """Remove a container that does not run; its volumes stay.

        :param container: its id.
        :raises Refusal: it runs.
        """
        with self._asked("remove a container", refusals=True):
            self._client.remove_container(container)

    def restart_policy(self, container: str, policy: Mapping[str, Any]) -> None:
        """Set when the daemon starts a container again.

        :param container: its id.
        :param policy: as the daemon's API takes it.
        """
        with self._asked("set a restart policy", refusals=True):
            self._client.update_container(container, restart_policy=dict(policy))

    def last_lines(self, container: str, count: int) -> list[str]:
        """The last lines that a container wrote; empty where its logs cannot be read.

        :param container: its id.
        :param count: how many.
        """
        try:
            with self._asked("read a container's log", refusals=True):
                text: bytes = self._client.logs(container, tail=count)
        except (Gone, Refusal, TargetError):
            return []
        return [line for line in text.decode(errors="replace").splitlines() if line.strip()]

    # -- files -----------------------------------------------------------------------------------------------------

    def put_files(self, container: str, files: Mapping[str, bytes]) -> None:
        """Put files into a container, read-only; their folders are made.

        :param container: its id.
        :param files: content by path.
        :raises Refusal: its file system is read-only.
        """
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path, content in files.items():
                member = tarfile.TarInfo(path.lstrip("/"))
                member.size, member.mode = len(content), FILE_MODE
                archive.addfile(member, io.BytesIO(content))
        with self._asked("put files into a container", refusals=True):
            self._client.put_archive(container, "/", buffer.getvalue())

    def read_file(self, container: str, path: str) -> bytes | None:
        """The content of a file in a container; None when there is no such file.

        :param container: its id.
        :param path: of the file.
        """
        try:
            with self._asked(f"read {path} in a container"):
                chunks, _ = self._client.get_archive(container, path)
                content = b"".join(_at_most(chunks, MAX_FILE))
        except Gone:
            return None
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                member = archive.next()
                file = archive.extractfile(member) if member is not None and member.isfile() else None
                return file.read() if file is not None else None
        except tarfile.TarError:
            return None

    # -- images ----------------------------------------------------------------------------------------------------

    def image(self, name: str) -> dict[str, Any] | None:
        """What the host knows of an image; None when it does not have it.

        :param name: name, digest or id.
        """
        try:
            with self._asked(f"say what image {name} is"):
                found: dict[str, Any] = self._client.inspect_image(name)
                return found
        except (Gone, Refusal):
            return None

    def digest_in_registry(self, name: str) -> str:
        """The digest that the image's registry has for a name; nothing is pulled.

        :param name: name of an image.
        :raises ArtifactNotFound: the registry does not have it, or does not give it to us.
        """
        with self._asked_of_registry(name):
            answer = self._client.inspect_distribution(name, auth_config=self.settings.credentials_for(name))
            return str(answer["Descriptor"]["digest"])

    def pull(self, name: str) -> None:
        """Get an image from its registry.

        :param name: name or digest.
        :raises ArtifactNotFound: the registry does not have it, or does not give it to us.
        """
        with self._asked_of_registry(name):
            repository, _, tag = _split(name)
            credentials = self.settings.credentials_for(name)
            for line in self._client.pull(repository, tag, stream=True, decode=True, auth_config=credentials):
                if "error" in line:
                    raise self._not_given(name, str(line["error"]))

    # -- volumes ---------------------------------------------------------------------------------------------------

    def volumes(self, label: str) -> list[dict[str, Any]]:
        """Every volume with a label.

        :param label: ``KEY=VALUE``.
        """
        with self._asked("list its volumes"):
            return list(self._client.volumes(filters={"label": label}).get("Volumes") or ())

    def create_volume(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Make a volume, unless there is one of this name; returns the labels of the one that is there then.

        :param name: its name.
        :param labels: its labels.
        """
        with self._asked(f"make volume {name}"):
            self._client.create_volume(name, labels=dict(labels))
            return dict(self._client.inspect_volume(name).get("Labels") or {})

    def remove_volume(self, name: str) -> None:
        """Remove a volume; one that is not there is removed.

        :param name: its name.
        """
        try:
            with self._asked(f"remove volume {name}", refusals=True):
                self._client.remove_volume(name)
        except (Gone, Refusal):
            return

    # -- the host itself -------------------------------------------------------------------------------------------

    @cached_property
    def _ahead(self) -> timedelta:
        with self._asked("say what time it is"):
            before, said = machine_now(), read_time(self._client.info().get("SystemTime"))
        return said - before if said is not None else timedelta(0)

    def now(self) -> datetime:
        """The time by the host's clock, which is not this machine's."""
        return (machine_now() + self._ahead).astimezone(timezone.utc)

    @contextmanager
    def _asked(self, what: str, *, refusals: bool = False, server_too: bool = False) -> Iterator[None]:
        try:
            import requests
            from docker.errors import APIError, DockerException
        except ImportError:
            raise not_installed() from None
        try:
            yield
        except APIError as error:
            raise self._judged(what, error, refusals=refusals, server_too=server_too) from error
        except (requests.RequestException, DockerException, OSError) as error:
            raise TargetUnavailable(
                f"{self.settings.title} did not {what}: {type(error).__name__}.",
                next_step="See whether the daemon runs and can be reached from where tasks run.",
            ) from error

    def _judged(self, what: str, error: Any, *, refusals: bool, server_too: bool) -> Exception:
        status, reason = error.response.status_code, self._reason(error)
        if status in (401, 403):
            return TargetUnauthorized(
                f"{self.settings.title} does not let us {what} ({status}): {reason}.",
                state="nothing was changed by this call.",
                next_step="Give the connection's certificate, or its user, the right to do it.",
            )
        if refusals and (status < 500 or server_too) and status not in (408, 429):
            # A start that fails on what the container is to run is a 404 too.
            if status == 404 and "no such container" in reason.lower():
                return Gone(reason)
            return Refusal(reason)
        if status == 404:
            return Gone(reason)
        if status == 400:
            return TargetRejected(f"{self.settings.title} did not {what} (400): {reason}.")
        return TargetUnavailable(f"{self.settings.title} did not {what} ({status}): {reason}.")

    @contextmanager
    def _asked_of_registry(self, name: str) -> Iterator[None]:
        try:
            with self._asked(f"get image {name} from its registry", refusals=True, server_too=True):
                yield
        except (Gone, Refusal) as error:
            raise self._not_given(name, str(error)) from error

    def _not_given(self, name: str, reason: str) -> TargetError:
        reason = self._redact.line(reason)
        denied = any(word in reason.lower() for word in ("unauthorized", "denied", "authentication required"))
        if denied or any(word in reason.lower() for word in _ABSENT):
            return ArtifactNotFound(
                f"image {name} is neither on {self.settings.title} nor given by its registry: {reason}.",
                next_step="Push it, or correct its name"
                + ("; registries say the same for one that needs a login: see the connection's." if denied else "."),
            )
        return TargetUnavailable(
            f"image {name} is not on {self.settings.title}, and its registry cannot be asked: {reason}.",
            next_step="See whether the host reaches the registry; then try again.",
        )

    def _reason(self, error: Any) -> str:
        reason = error.explanation or str(error)
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        with suppress(ValueError, TypeError, KeyError):
            reason = json.loads(reason)["message"]
        return self._redact.line(reason).rstrip(".")


def _split(name: str) -> tuple[str, str, str]:
    """Repository, separator and tag or digest of a name, as the daemon takes them."""
    repository, at, digest = name.partition("@")
    if at:
        return repository.rpartition(":")[0] if ":" in repository.rpartition("/")[2] else repository, at, digest
    head, colon, tag = name.rpartition(":")
    return (head, colon, tag) if colon and "/" not in tag else (name, "", "latest")


def _at_most(chunks: Any, limit: int) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            return
        yield chunk
