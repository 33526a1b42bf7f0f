"""Which files belong to which instance: patterns in which ``{instance}`` stands for its name, or patterns by names."""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable, VerificationError

INSTANCE = "{instance}"


@dataclass(frozen=True)
class FilePaths:
    """Files of instances.

    :param source: name of the source, for its errors.
    :param paths: an absolute pattern as of ``ls``, or such patterns by the names of instances.
    """

    source: str
    paths: str | Mapping[str, str]

    def mistakes(self, *, shared: bool = False) -> Iterator[str]:
        """What is wrong with the paths, one sentence each.

        :param shared: whether files may hold all instances; False by default.
        """
        patterns: list[Any] = [self.paths] if isinstance(self.paths, str) else []
        if isinstance(self.paths, Mapping):
            patterns = list(self.paths.values())
        if not patterns or not all(isinstance(one, str) and one.strip() for one in patterns):
            yield f"paths: {self.paths!r} is neither a pattern nor patterns by the names of instances"
        elif isinstance(self.paths, str) and INSTANCE not in self.paths and not shared:
            yield f"paths: {INSTANCE} is missing in {self.paths!r}: whose file is it?"
        yield from (f"paths: {one!r} is not absolute" for one in patterns if isinstance(one, str) and one[:1] != "/")

    @property
    def shared(self) -> bool:
        """Whether files hold all instances."""
        return isinstance(self.paths, str) and INSTANCE not in self.paths

    def pattern(self, instance: str) -> str:
        """The pattern of an instance's files; ``""`` where it has none.

        :param instance: its name.
        :raises SourceQueryRejected: it cannot be part of a file's name.
        """
        if isinstance(self.paths, Mapping):
            return self.paths.get(instance, "")
        if self.shared:
            return self.paths
        if "/" in instance or "\0" in instance or instance in ("", ".", ".."):
            raise SourceQueryRejected(
                f"{self.source}: the instance name {instance!r} cannot be part of a file's name.",
                instances=(instance,),
                next_step="Give the paths of such instances by their names: {name: pattern}.",
            )
        return self.paths.replace(INSTANCE, glob.escape(instance))

    def files(self, pattern: str) -> list[Path]:
        """The files of a pattern, in the order of their names.

        :param pattern: of one instance; ``""`` for no file.
        """
        return sorted(map(Path, glob.glob(pattern))) if pattern else []  # noqa: PTH207 - of an absolute pattern

    def instances(self) -> list[str]:
        """Names of the instances that have files."""
        if isinstance(self.paths, Mapping):
            return sorted(self.paths)
        inside = re.compile(
            "".join(
                "(?P<instance>[^/]+?)" if part == INSTANCE else _as_regex(part)
                for part in re.split(r"(\{instance\})", self.paths, maxsplit=1)
            )
            + r"\Z"
        )
        matches = (inside.match(path) for path in self._all())
        return sorted({found["instance"] for found in matches if found})

    def require_any(self) -> None:
        """Refuse to go on where no instance has a file.

        :raises SourceUnavailable: there is none.
        """
        if not self._all():
            raise SourceUnavailable(
                f"{self.source}: no file of any instance is there.",
                next_step="Correct the paths, or see whether this worker has the folder.",
            )

    def _all(self) -> list[str]:
        patterns = self.paths.values() if isinstance(self.paths, Mapping) else [self.paths.replace(INSTANCE, "*")]
        return [path for pattern in patterns for path in glob.glob(pattern)]  # noqa: PTH207 - as above


def named(paths: str | Mapping[str, str]) -> str:
    """How a source is called by its paths.

    :param paths: as of :class:`FilePaths`.
    """
    return paths if isinstance(paths, str) else ", ".join(sorted(map(str, paths)))


@contextlib.contextmanager
def reading(pattern: str) -> Iterator[None]:
    """Let what reads files raise nothing but a source's errors.

    :param pattern: of the files.
    """
    try:
        yield
    except PermissionError as error:
        raise SourceUnauthorized(
            f"{error.filename} may not be read by {_who()}.", next_step="Let the group of the worker read it."
        ) from error
    except (OSError, VerificationError) as error:
        raise SourceUnavailable(f"the files {pattern} cannot be read: {error}.") from error


def _who() -> str:
    import getpass

    try:
        return f"the user {getpass.getuser()!r}"
    except (KeyError, OSError):
        return "this process"


def _as_regex(pattern: str) -> str:
    """A part of a pattern of the shell as a regular expression."""
    words = {"*": "[^/]*", "?": "[^/]"}
    return "".join(words.get(letter, re.escape(letter)) for letter in pattern)
