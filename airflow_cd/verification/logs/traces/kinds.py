"""Records that go on by what they are: after ``panic:`` come goroutines, after ``panicked at`` the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from airflow_cd.verification.logs.traces import go, native, scripts

_CONSOLE = re.compile(r"(?:trce|dbug|info|warn|fail|crit): \S+\[-?\d+\]$")  # .NET's: the message follows, indented
_NODE = re.compile(r"(?:file://|node:|/|[A-Z]:\\)[^\s()]*:\d+$")
_NODE_MORE = re.compile(
    r"\s|$|throw |[A-Z]\w*(?:Error|Exception)?(?: \[[\w ]+\])?: |[A-Z]\w*Error$|Node\.js v|\}|Require stack:|- |code: "
)


@dataclass(frozen=True)
class Kind:
    """What a record is that goes on, and by which lines.

    :param hints: parts of a line, one of which it must have to begin such a record: quickly looked for.
    """

    hints: tuple[str, ...]
    begins: Callable[[str], object]
    more: Callable[[str], object]

    def begun_by(self, line: str) -> bool:
        """Whether the line begins such a record.

        :param line: without its stamp.
        """
        for hint in self.hints:  # most lines hold none, so this is looked for a million times
            if hint in line:
                return self.begins(line) is not None
        return False


KINDS = {
    "go": Kind(
        ("panic: ", "fatal error: ", "panic serving ", "goroutine ", "SIG"),
        go.BEGINS.match,
        lambda line: go.MORE.match(line) or go.FRAME.match(line),
    ),
    "rust": Kind(("panicked at ",), native.RUST.match, native.RUST_MORE.match),
    "eyre": Kind(("panicked (crashed)",), native.EYRE.match, native.EYRE_MORE.match),
    "zig": Kind(("panic: ",), native.ZIG.match, native.ZIG_MORE.match),
    "ocaml": Kind(("Fatal error: exception ",), native.OCAML.match, native.OCAML_MORE.match),
    "lua": Kind((".lua:",), scripts.LUA.match, scripts.LUA_MORE.match),
    "php": Kind(("rror: ",), scripts.PHP.match, scripts.PHP_MORE.match),
    "ruby": Kind((":in ",), scripts.RUBY.match, scripts.RUBY_MORE.match),
    "native": Kind(
        ("terminate called", "libc++abi: ", "Fatal error: "), native.TERMINATE.match, native.TERMINATE_MORE.match
    ),
    "fortran": Kind(("At line ",), native.FORTRAN.match, native.FORTRAN_MORE.match),
    "beam": Kind(
        ("** (", " REPORT====", "terminating", "raised an exception"), scripts.BEAM.match, scripts.BEAM_MORE.match
    ),
    "node": Kind(("file://", "node:", "/", ":\\"), _NODE.match, _NODE_MORE.match),
    "console": Kind(
        ("trce: ", "dbug: ", "info: ", "warn: ", "fail: ", "crit: "), _CONSOLE.match, re.compile(r"\s+\S").match
    ),
    "dart": Kind(("nhandled exception:",), scripts.DART.match, scripts.DART_MORE.match),
    "haskell": Kind(("HasCallStack",), scripts.HASKELL.match, re.compile(r"\s+\S").match),
    "perl": Kind((" line ",), scripts.PERL.match, scripts.PERL_MORE.match),
}
WITHIN = ("go", "rust", "php", "ruby", "native", "beam", "haskell")  # what may begin within a record
