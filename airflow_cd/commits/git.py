"""The program git: no shell, no prompt, bounded in time, and no password in what is shown of its output."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_cd.http.redaction import Redactor

GRACE = 1.0  # seconds that git has to take its lock files away with it when its time is over

# What belongs to another repository, as `git rev-parse --local-env-vars` names it.
_FOREIGN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_OPTIONS = (
    "--no-pager",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "gc.auto=0",
    "-c",
    "log.showSignature=false",
    # In a bare clone git looks for it in a tree, which a clone of commits alone would have to fetch.
    "-c",
    "log.mailmap=false",
)
_SSH = "ssh -oBatchMode=yes -oConnectTimeout=5 -oServerAliveInterval=5 -oServerAliveCountMax=2"


class GitFailed(Exception):
    """Git failed; the text is one sentence without secrets, which may be shown to everybody."""


class UnknownRevision(GitFailed):
    """The repository has no such revision."""


@dataclass(frozen=True)
class Git:
    """Git in one repository, for as long as there is time.

    :param directory: of the repository.
    :param deadline: when it must have answered, on the monotonic clock.
    :param configuration: git's own, passed in the environment: in no file and on no command line.
    :param redact: removes secrets from what git prints.
    """

    directory: Path
    deadline: float
    configuration: Mapping[str, str] = field(default_factory=dict, repr=False)
    redact: Redactor = field(default_factory=Redactor, repr=False)

    def __call__(self, *arguments: str, holds: Sequence[int] = ()) -> str:
        """Run git and return what it prints.

        :param arguments: behind ``git`` and the options that are always given.
        :param holds: file descriptors that stay open for as long as git runs, so that a lock outlives its owner.
        :raises GitFailed: it failed, or did not finish in time.
        """
        command = ["git", "-C", str(self.directory), *_OPTIONS, *arguments]
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list, and no shell
                command,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                pass_fds=holds,
            )
        except FileNotFoundError:
            raise GitFailed("the program git is not installed.") from None
        except (OSError, ValueError) as error:
            raise GitFailed(f"the program git cannot be started: {type(error).__name__}.") from None
        try:
            output, errors = process.communicate(timeout=max(0.0, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _end(process)
            raise GitFailed("git timed out.") from None
        except BaseException:
            _end(process)
            raise
        if process.returncode != 0:
            raise GitFailed(self._reason(errors.decode(errors="replace")))
        return output.decode(errors="replace")

    def commit(self, revision: str) -> str:
        """Return the full name of the commit that a revision names.

        :param revision: a tag, a branch or a commit.
        :raises UnknownRevision: there is no such revision.
        :raises GitFailed: git failed.
        """
        if not _is_name(revision):
            raise UnknownRevision(f"{_quoted(revision)} cannot be the name of a tag, a branch or a commit.")
        try:
            return self("rev-parse", "--quiet", "--verify", "--end-of-options", f"{revision}^{{commit}}").strip()
        except GitFailed as error:
            if str(error):
                raise
            raise UnknownRevision(f"it has no {_quoted(revision)}.") from None

    def _environment(self) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        environment.setdefault("GIT_SSH_COMMAND", _SSH)
        environment.update(
            GIT_TERMINAL_PROMPT="0",
            GIT_OPTIONAL_LOCKS="0",
            SSH_ASKPASS_REQUIRE="never",
            GCM_INTERACTIVE="never",
            LC_ALL="C",
            GIT_CONFIG_COUNT=str(len(self.configuration)),
        )
        for number, (name, value) in enumerate(self.configuration.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment

    def _reason(self, errors: str) -> str:
        """The most telling line of git's errors, without secrets; ``""`` when there is none."""
        lines = [line.strip() for line in self.redact(errors).splitlines()]
        line = next((line for line in lines if line.startswith(("fatal:", "error:"))), next(filter(None, lines), ""))
        line = line.removeprefix("fatal:").removeprefix("error:").strip()
        return f"git failed: {line[:300].rstrip('.')}." if line else ""


def _is_name(revision: str) -> bool:
    """Whether git would let a tag have this name: then it is neither an option nor an expression."""
    return (
        bool(re.fullmatch(r"[^-/.\s~^:?*\[\\\x00-\x20\x7f][^\s~^:?*\[\\\x00-\x20\x7f]*", revision))
        and not re.search(r"\.\.|@\{|//|/\.|\.lock(/|$)|[./]$", revision)
        and len(revision) <= 250
    )


def _quoted(revision: str) -> str:
    return repr(revision if len(revision) <= 100 else revision[:99] + "…")


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=patience)
            return
