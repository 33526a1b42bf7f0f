"""A release: an artifact and its run-time configuration, immutable and identified by a digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.errors import ReleaseError
from airflow_cd.secret_values.detection import mistakes, suspicion
from airflow_cd.secret_values.showing import shown
from airflow_cd.wording import with_article

VERSION = r"[A-Za-z0-9][A-Za-z0-9._+:@/~-]{0,127}"
"""What the version of a run looks like: nothing that is invisible, and no markup."""
MOST_NAMED, LONGEST_NAMED = 3, 40
"""How many differences a sentence names, and of how many characters each value."""
UNSET = "(not given)"
"""The value of something that one of two releases does not have: what an instance has of its own is no part of it."""
CONFIGURATION = "configuration: "
"""How the names of differences begin that are keys of a configuration."""
NOTHING = "nothing"
"""What a rollback by hand takes back where the ledger has no deployment of what ran."""


@dataclass(frozen=True)
class Release:
    """What runs: rolling back means restoring a whole release.

    :param service: what is deployed.
    :param version: the version for people (``1.2.0``); not part of the digest.
    :param artifact: what the target fetches (``shop:1.2.0``).
    :param configuration: run-time configuration; JSON values, with references to secrets
        (:mod:`airflow_cd.secret_values`) but no secrets.
    :raises ReleaseError: a name is empty, or the configuration is not a JSON object.
    """

    service: str
    version: str
    artifact: str
    configuration: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("service", "version", "artifact"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ReleaseError(
                    f"a release needs {with_article(name)}, got {getattr(self, name)!r}.",
                    next_step=f"Give the {name} and start again; nothing was changed.",
                )
        try:
            # A round trip copies the values and rejects what could not be sent to a target.
            copy = json.loads(json.dumps(self.configuration, allow_nan=False))
            # Half a surrogate pair can be written in JSON and be sent to nobody; it has no digest either.
            for text in (self.service, self.version, self.artifact, json.dumps(copy, ensure_ascii=False)):
                text.encode()
        except RecursionError:
            raise ReleaseError(
                f"the configuration of {self.service} {self.version} is nested too deeply.",
                next_step="Use fewer levels of lists and objects; nothing was changed.",
            ) from None
        except (TypeError, ValueError) as error:
            raise ReleaseError(
                f"the configuration of {self.service} {self.version} is not JSON: {error}.",
                next_step="Use strings, numbers, booleans, null, lists and objects only; nothing was changed.",
            ) from error
        if not isinstance(copy, dict):
            raise ReleaseError(
                f"the configuration of {self.service} {self.version} is a {type(copy).__name__}, not an object.",
                next_step='Write it as {"key": "value"}; nothing was changed.',
            )
        object.__setattr__(self, "configuration", copy)

    @property
    def digest(self) -> str:
        """SHA-256 over service, artifact and configuration, as ``sha256:`` and 64 hex digits."""
        content = {"service": self.service, "artifact": self.artifact, "configuration": self.configuration}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """The release as JSON values, digest included."""
        return {
            "service": self.service,
            "version": self.version,
            "artifact": self.artifact,
            "configuration": dict(self.configuration),
            "digest": self.digest,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Release:
        """The release that :meth:`as_dict` wrote.

        :param content: its JSON values.
        :raises ReleaseError: it cannot be read, or the digest does not match the content.
        """
        try:
            release = cls(
                service=content["service"],
                version=content["version"],
                artifact=content["artifact"],
                configuration=content.get("configuration") or {},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ReleaseError(
                f"the stored release cannot be read: {error}.",
                next_step="The record was changed after it was written; find out why before deploying it.",
            ) from error
        if content.get("digest") not in (None, release.digest):
            raise ReleaseError(
                f"the stored release {release.service} {release.version} does not have the digest it was stored with.",
                state=f"stored {content['digest']}, computed {release.digest}.",
                next_step="The record was changed after it was written; find out why before deploying it.",
            )
        return release

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and other.digest == self.digest

    def __str__(self) -> str:
        return f"{self.service} {self.version} ({self.digest[7:15]})"


def planned_release(
    service: str,
    version: str,
    artifact: str,
    configuration: Mapping[str, Any],
    overrides: Mapping[str, Any] | str,
    *,
    environment: str,
) -> Release:
    """The release that a run requests for an environment.

    :param service: what is deployed.
    :param version: the version.
    :param artifact: template of the artifact's name; ``{service}`` and ``{version}`` are filled in.
    :param configuration: the environment's own run-time configuration.
    :param overrides: the run's configuration on top, an object or its JSON; a null removes a key.
    :param environment: where it is to run, for the error.
    :raises ReleaseError: the overrides are not a JSON object, the version or the release is not valid, or something in
        it looks like a secret. The message quotes no value.
    """
    if not isinstance(version, str) or not re.fullmatch(VERSION, version):
        raise ReleaseError(
            f"{str(version)[:200]!a} is no version.",
            environment=environment,
            state="nothing was changed.",
            next_step="Use letters, digits and . _ + : @ / ~ -, at most 128 of them, the first a letter or a digit.",
        )
    try:
        given = json.loads(overrides) if isinstance(overrides, str) else dict(overrides)
        if not isinstance(given, dict):
            raise TypeError(f"got a {type(given).__name__}")
    except (TypeError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ReleaseError(
            f"the configuration overrides are not an object: {why}.",
            environment=environment,
            state="nothing was changed.",
            next_step='Trigger again with an object such as {"key": "value"}.',
        ) from error
    merged = {key: value for key, value in {**configuration, **given}.items() if value is not None}
    release = Release(service, version, artifact.format(service=service, version=version), merged)
    wrong = list(mistakes(release.configuration, f"{service} {version}"))
    if why := suspicion("", release.artifact):
        wrong.append(f"the artifact of {service} looks like a secret: {why}. Let the target hold the credentials")
    if wrong:
        raise ReleaseError(
            f"{'; '.join(wrong)}.",
            environment=environment,
            state="nothing was changed.",
            next_step="Correct it and trigger again.",
        )
    return release


def changes(before: Release | None, after: Release) -> list[tuple[str, Any, Any]]:
    """What differs between two releases, as rows of :func:`differences`.

    :param before: the earlier release; None if there is none.
    :param after: the later release.
    """
    return differences(before.as_dict() if before else {}, after.as_dict())


def most_common(releases: Iterable[Release | None]) -> Release | None:
    """The release that most instances have, the first among equals; None where they have none.

    :param releases: of every instance, None for one that is empty.
    """
    counted = Counter(release for release in releases if release is not None)
    return counted.most_common(1)[0][0] if counted else None


def changed_beside_version(before: Release | None, after: Release) -> str:
    """What differs between two releases that people call by the same version: ``timeout_s 30 → 1``.

    :param before: the earlier release; None if there is none.
    :param after: the later release.
    :returns: ``""`` where the versions tell them apart, or nothing differs. Secrets are hidden.
    """
    if before is None or before.version != after.version:
        return ""
    rows = [
        leaf
        for name, old, new in changes(before, after)
        for leaf in _leaves(name.removeprefix(CONFIGURATION), old, new)
    ]
    named = [f"{name} {_apart(old, new)}" for name, old, new in rows[:MOST_NAMED]]
    more = len(rows) - MOST_NAMED
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _leaves(name: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """The differences within a value that is an object on both sides; else the one that there is."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [(name, old, new)]
    return [
        leaf
        for key in _different(old, new)
        for leaf in _leaves(f"{name}.{key}", old.get(key, UNSET), new.get(key, UNSET))
    ]


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys whose values differ, sorted; as JSON, in which true is not 1."""
    sides = [{key: json.dumps(value, sort_keys=True) for key, value in side.items()} for side in (old, new)]
    return [key for key in sorted({*old, *new}) if sides[0].get(key) != sides[1].get(key)]


def _apart(old: Any, new: Any) -> str:
    """Two values as a sentence has them; long ones from shortly before they differ."""
    values = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in (old, new)]
    texts = [" ".join(text.split()) or '""' for text in values]
    if texts[0] == texts[1]:
        texts = [json.dumps(value, ensure_ascii=False) for value in (old, new)]
    same = next((at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), min(map(len, texts)))
    start = max(0, same - LONGEST_NAMED // 4) if max(map(len, texts)) > LONGEST_NAMED else 0
    cut = [f"…{text[start:]}" if start else text for text in texts]
    return " → ".join(text if len(text) <= LONGEST_NAMED else f"{text[: LONGEST_NAMED - 1]}…" for text in cut)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs between two releases.

    :param before: the earlier release, as :meth:`Release.as_dict` returns it; empty if there is none.
    :param after: the later one, likewise.
    :returns: rows of name, before, after, secrets hidden; :data:`UNSET` where one of them does not have it.
    """
    rows: list[tuple[str, Any, Any]] = [
        (name, before.get(name, UNSET), after.get(name, UNSET)) for name in ("version", "artifact")
    ]
    rows = [row for row in rows if row[1] != row[2]]
    old, new = before.get("configuration") or {}, after.get("configuration") or {}
    # Compared first, shown then: that a secret is another one is seen, not what it is.
    return rows + [(f"{CONFIGURATION}{key}", _seen(old, key), _seen(new, key)) for key in _different(old, new)]


def _seen(configuration: Mapping[str, Any], key: str) -> Any:
    return shown(configuration[key], f"/{key}") if key in configuration else UNSET
