"""An instance dies with the process that started it, however that one dies.

The starter keeps the writing end of the child's standard input and never writes to it. When the starter is gone,
even by ``kill -9``, the operating system closes that end and the child reads the end of the file. On Linux the
kernel is asked as well, for a child that is stopped or too busy to read.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

LIFELINE_FLAG = "--lifeline"
_PR_SET_PDEATHSIG = 1


def hold_lifeline(grace: float = 3.0) -> None:
    """Send this process SIGTERM when standard input ends, and end it hard when that did not help.

    :param grace: seconds between the two.
    """
    threading.Thread(target=_watch, args=(grace,), name="lifeline", daemon=True).start()


def die_with_starting_thread() -> None:
    """Let the kernel kill this process when the thread that started it ends; does nothing where there is no such call.

    Only for children that are started by a thread which lasts as long as its process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(grace: float) -> None:
    # os.read, because a thread inside sys.stdin.read() holds a lock that the interpreter needs to shut down.
    while True:
        try:
            if not os.read(0, 4096):
                break
        except OSError:
            break
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace)
    os._exit(1)
