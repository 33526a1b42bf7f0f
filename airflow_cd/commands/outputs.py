"""Files that a command writes: refused before anything is read where they cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from airflow_cd.errors import VerificationError


def check_outputs(paths: Iterable[str], inputs: Iterable[str] = ()) -> None:
    """Refuse an output that cannot be written; no input is ever overwritten.

    :param paths: of the outputs.
    :param inputs: paths of what is read.
    :raises VerificationError: one is in no folder, is one, may not be written, or is an input or another output.
    """
    used = {Path(path).resolve() for path in inputs}
    for path in paths:
        folder = Path(path).parent
        if not folder.is_dir():
            raise _unwritable(path, f"there is no folder {folder}")
        if Path(path).is_dir():
            raise _unwritable(path, "it is a folder")
        if not os.access(path if Path(path).exists() else folder, os.W_OK):
            raise _unwritable(path, "there is no right to write it")
        if Path(path).resolve() in used:
            raise _unwritable(path, "it is one of the inputs, or another output")
        used.add(Path(path).resolve())


def write_output(path: str, content: str) -> None:
    """Write a file.

    :param path: of the file.
    :param content: all of it.
    :raises VerificationError: it cannot be written.
    """
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: str, why: str) -> VerificationError:
    return VerificationError(
        f"{path} cannot be written: {why}.", next_step="Name another file, in a folder that exists."
    )
