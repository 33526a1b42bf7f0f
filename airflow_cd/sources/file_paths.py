"""Which files belong to which instance: patterns in which ``{instance}`` stands for its name, or patterns by names."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import os
import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable, VerificationError

INSTANCE = "{instance}"
_WILDCARD = r"\*|\?|\[!?\]?[^\]]*\]"
_INSIDE_NAMES = string.ascii_letters + string.digits


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
        elif isinstance(self.paths, str) and INSTANCE in self.paths and not _has_ends(self.paths):
            yield (
                f"paths: {self.paths!r} cannot tell web-1 from web-10: put what ends a name between {INSTANCE} and the "
                f"wildcard beside it, as in {INSTANCE}.log* or {INSTANCE}/*"
            )
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

    def files_of(self, names: Iterable[str]) -> dict[str, list[Path]]:
        """The files of each instance; one that several names fit is of the longest of them.

        :param names: of the instances.
        :raises SourceQueryRejected: a name cannot be part of a file's name, or nobody can say whose a file is.
        """
        found: dict[str, list[Path]] = {name: [] for name in names}
        owners: dict[Path, str] = {}
        same: dict[object, tuple[str, Path]] = {}
        for name in sorted(found, key=len, reverse=True):
            for path in self.files(self.pattern(name)):
                owner = owners.setdefault(path, name)
                if owner == name:
                    found[name].append(path)
                    self._refuse_same(same.setdefault(identity_of(path), (name, path)), (name, path))
                elif isinstance(self.paths, Mapping) or len(owner) == len(name):
                    raise SourceQueryRejected(
                        f"{self.source}: {path} fits the patterns of both {owner} and {name}: whose file is it?",
                        instances=(owner, name),
                        next_step="Give patterns by the names of instances that share no file: {name: pattern}.",
                    )
        return found

    def _refuse_same(self, one: tuple[str, Path], other: tuple[str, Path]) -> None:
        """Refuse a file that stands under the names of two instances, by a link."""
        if one[0] != other[0] and identity_of(one[1]) is not None:
            raise SourceQueryRejected(
                f"{self.source}: {one[1]} of {one[0]} and {other[1]} of {other[0]} are the same file: whose is it?",
                instances=(one[0], other[0]),
                next_step="Remove the link, or give patterns by the names of instances that share no file.",
            )

    def instances(self) -> list[str]:
        """Names of the instances that have files."""
        if isinstance(self.paths, Mapping):
            return sorted(self.paths)
        first, *others = self.paths.split(INSTANCE)
        behind = "(?P=instance)".join(map(_as_regex, others))
        inside = re.compile(rf"{_as_regex(first)}(?P<instance>[^/]+?){behind}\Z")
        matches = (inside.match(path) for path in self._all())
        return sorted({found["instance"] for found in matches if found})

    def require_any(self) -> None:
        """Refuse to go on where no instance has a file.

        :raises SourceUnavailable: there is none.
        """
        if not self._all():
            missing = ""
            for folder in map(_folder, self._patterns()):
                if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
                    raise SourceUnauthorized(
                        f"{self.source}: {_who()} may not look into {folder}.",
                        next_step="Let the group of the worker read and enter it.",
                    )
                missing = missing or ("" if folder.is_dir() else f": there is no folder {folder}")
            raise SourceUnavailable(
                f"{self.source}: no file of any instance is there{missing}.",
                next_step="Correct the paths, or see whether this worker has the folder.",
            )

    def _all(self) -> list[str]:
        return [path for pattern in self._patterns() for path in glob.glob(pattern)]  # noqa: PTH207 - as above

    def _patterns(self) -> list[str]:
        return [*self.paths.values()] if isinstance(self.paths, Mapping) else [self.paths.replace(INSTANCE, "*")]


def identity_of(path: Path, status: os.stat_result | None = None) -> object:
    """What is the same of all names of one file; None where it is gone, or its file system does not tell.

    :param path: one of its names.
    :param status: of it, where it was looked at before; None by default.
    """
    try:
        status = status or path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_ino else None


def _folder(pattern: str) -> Path:
    """The folder before the first wildcard, or the first on the way to it that is not there or may not be entered."""
    folder = Path("/")
    for part in Path(pattern).parts[1:-1]:
        if glob.has_magic(part) or not os.access(folder, os.X_OK) or not folder.is_dir():
            break
        folder /= part
    return folder


def _has_ends(pattern: str) -> bool:
    """Whether what stands beside the instance's name somewhere is nothing that may belong to a longer name."""

    def blurs(wildcard: str) -> bool:
        return any(fnmatch.fnmatchcase(letter, wildcard) for letter in _INSIDE_NAMES)

    beside = re.finditer(rf"(?P<before>{_WILDCARD})?{re.escape(INSTANCE)}(?P<behind>{_WILDCARD})?", pattern)
    return any(not any(blurs(part) for part in found.groups() if part) for found in beside)


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
