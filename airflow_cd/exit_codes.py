"""The exit codes of every command: an error is never mistaken for a verdict."""

from __future__ import annotations

DONE = 0
"""It was done; PASS of ``verify``; ``demo`` went as expected."""
FAILED = 1
"""FAIL of ``verify``; ``demo`` did not go as expected; ``check``, ``audit verify``, ``guard --status`` found fault."""
INCONCLUSIVE = 2
"""INCONCLUSIVE of ``verify``."""
ERROR = 3
"""It was not done: the command line, the input, the ledger, or a bug."""
INTERRUPTED = 130
"""Ctrl-C."""
