"""Records that are a JSON object or an element of XML over several lines."""

from __future__ import annotations

import json
import re

from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.xml_records import unfold_element
from airflow_cd.verification.logs.masking import VARIABLE

BEGINS = rf"^\{{\s*$|^<[A-Za-z{VARIABLE}][^<>]*>\s*$"
"""The first line of such a record, masked or not, for any engine of regular expressions; it may find more than that."""
_BEGINS = re.compile(r"\{\s*$|<([A-Za-z][\w:.-]*)(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*\s*>\s*$")
_MOST_LINES, _MOST_CHARACTERS = 400, 65_536


class Element:
    """The lines of such a record as they come.

    :param first: its first line.
    :param number: which line that is.
    :param end: its last line.
    """

    def __init__(self, first: str, number: int, end: str) -> None:
        self.lines = [first]
        self.number = number
        self._end = end
        self._length = len(first)

    @classmethod
    def begun_by(cls, line: str, number: int) -> Element | None:
        """The record that begins with a line; None if none does.

        :param line: the line.
        :param number: which one it is.
        """
        found = _BEGINS.match(line) if line[:1] in ("{", "<") else None
        if found is None:
            return None
        return cls(line, number, f"</{found[1]}>" if found[1] else "}")

    def takes(self, line: str) -> bool:
        """Take the next line in; whether it can be one of the record's.

        :param line: the line.
        """
        inside = self._end != "}" or line[:1].isspace() or not line or line[:1] == "}"
        self._length += len(line)
        if line[:1] == "<" and _BEGINS.match(line):
            return False  # it is around records, as the root of a document is
        if not inside or len(self.lines) >= _MOST_LINES or self._length > _MOST_CHARACTERS:
            return False
        self.lines.append(line)
        return True

    @property
    def complete(self) -> bool:
        """Whether its last line has come."""
        return self.lines[-1].rstrip().rstrip(",") == self._end

    @property
    def text(self) -> str | None:
        """What it says, as text; None if it is no record with a level or a message."""
        if self._end == "}":
            whole = " ".join(line.strip() for line in self.lines).rstrip(",")
            try:
                whole = json.dumps(json.loads(whole), ensure_ascii=False)
            except (ValueError, RecursionError):
                return None
            return unfold_json(whole)
        whole = "\n".join(self.lines)
        unfolded = unfold_element(whole)
        return unfolded if unfolded != whole else None
