"""Crashes of Rust, Zig, C++, Swift, Fortran, and what the kernel says of a process that it stopped."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.traces.trace import StackTrace, nearest, reason

RUST = re.compile(r"thread '[^']*' (?:\(\d+\) )?panicked at ")
RUST_MORE = re.compile(r"stack backtrace:|note: |\s+\d+: |\s+at |$")
EYRE = re.compile(r"The application panicked \(crashed\)\.")
EYRE_MORE = re.compile(r"Message: |Location: |Backtrace |Run with |  |━|$")
ZIG = re.compile(r"thread \d+ panic: ")
ZIG_MORE = re.compile(r"\S+\.zig:\d+:\d+: 0x|\?\?\?:\?:\?: |\s|$")
_ZIG_FRAME = re.compile(r"(\S+\.zig):\d+:\d+: \w+ in (\S+)")
TERMINATE = re.compile(r"(?:terminate called|libc\+\+abi: |Fatal error: |.*: Fatal error: )")
TERMINATE_MORE = re.compile(
    r"\s+what\(\): |Aborted|Current stack trace:|\d+ +\S+ +0x|#\d+ +(?:0x)?|\s|$"
    r"|Stack dump:|\[\d+\]|terminate called rec"
    r"|(?:💣|\*\*\*) Program crashed: |Thread \d+ .*crashed:$"
)
FORTRAN = re.compile(r"At line \d+ of file \S+")
FORTRAN_MORE = re.compile(r"Fortran runtime error: |Error termination\.|#\d+ +|\s|$")
_FORTRAN_FRAME = re.compile(r"#\d+ +\S+ in ([A-Za-z_]\S*)")
_FORTRAN_REASON = re.compile(r"Fortran runtime error: (.*)")
_RUST_REASON = re.compile(r"panicked at (?:'(?P<old>.*)', )?(?P<place>[^\s']+?):\d+:\d+:?\s*$")
_RUST_FRAME = re.compile(r"^\s+\d+:\s+(?:0x[0-9a-f]+ - )?([\w:<>$ &,{}#.]+?)(?:::h[0-9a-f]{16})?$")
_CPP = re.compile(r"terminate called after throwing an instance of '([^']+)'|uncaught exception of type (\S+)")
_SWIFT = re.compile(r"Fatal error: (.*?)(?:: file \S+, line \d+)?$")
OCAML = re.compile(r"Fatal error: exception ")
OCAML_MORE = re.compile(r"Raised (?:at|by) |Re-raised at |Called from ")
_OCAML_FRAME = re.compile(r"(?:Raised (?:by primitive operation )?at|Re-raised at|Called from) ([\w.]+)")
_FRAME = re.compile(r"^\s*#?\d+ +(?:0x[0-9a-f]+ in )?(?:\S+ +0x[0-9a-f]+ )?([\w:$.~<>]+)")


def read_rust(lines: list[str]) -> StackTrace | None:
    """The panic's reason, and the functions of its backtrace, or else its file.

    :param lines: of the record.
    """
    for at, line in enumerate(lines):
        if not RUST.search(line):
            continue
        found = _RUST_REASON.search(line)
        following = lines[at + 1] if at + 1 < len(lines) else ""
        why = found["old"] if found and found["old"] else following
        frames = [(match[1], match[1]) for rest in lines[at + 1 :] if (match := _RUST_FRAME.match(rest))]
        own = nearest(frames) or ((found["place"],) if found else ("unknown place",))
        return StackTrace((f"panic: {reason(why)}".strip(),), own)
    return None


def read_eyre(lines: list[str]) -> StackTrace | None:
    """A panic of Rust as color-eyre and human-panic print it: its message, and its file.

    :param lines: of the record.
    """
    if not any(EYRE.search(line) for line in lines):
        return None
    told = {name: rest.strip() for name, colon, rest in (line.partition(":") for line in lines) if colon}
    place = told.get("Location", "unknown place").split(":")[0]
    return StackTrace((f"panic: {reason(told.get('Message', ''))}".strip(),), (place,))


def read_zig(lines: list[str]) -> StackTrace | None:
    """A panic of Zig: its reason, and its functions.

    :param lines: of the record.
    """
    found = next((match for line in lines if (match := ZIG.search(line))), None)
    frames = [(frame[1], frame[2]) for line in lines if (frame := _ZIG_FRAME.match(line))]
    if found is None or not frames:
        return None
    return StackTrace((f"panic: {reason(found.string[found.end() :])}",), nearest(frames))


def read_fortran(lines: list[str]) -> StackTrace | None:
    """A run-time error of GNU Fortran: its reason, and the file it happened in.

    :param lines: of the record.
    """
    place = next((found for line in lines if (found := FORTRAN.search(line))), None)
    why = next((found for line in lines if (found := _FORTRAN_REASON.match(line))), None)
    if place is None or why is None:
        return None
    frames = [(found[1], found[1]) for line in lines if (found := _FORTRAN_FRAME.match(line))]
    file = place[0].rsplit(" ", 1)[1]
    return StackTrace((f"Fortran runtime error: {reason(why[1])}",), nearest(frames) or (file,))


def read_terminated(lines: list[str]) -> StackTrace | None:
    """An uncaught exception of C++ or OCaml, a fatal error of Swift.

    :param lines: of the record.
    """
    for at, line in enumerate(lines):
        found = _CPP.search(line)
        swift = None if found else _SWIFT.search(line) if TERMINATE.match(line) else None
        if found is None and (swift is None or len(lines) == 1):
            continue
        rest = lines[at + 1 :]
        what = next((more.partition("what():")[2] for more in rest if "what():" in more), "")
        found_frames = (_FRAME.match(more) or _OCAML_FRAME.match(more) for more in rest)
        frames = [(match[1], match[1]) for match in found_frames if match is not None]
        name = (found[1] or found[2]) if found else f"Fatal error: {reason(swift[1])}" if swift else ""
        return StackTrace((name,), nearest(frames) or (reason(what) or "terminated",))
    return None
