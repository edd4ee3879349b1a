"""A process of ours ends when the one that started it is gone, however that ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_LOOK_S = 1.0
"""How often it is looked whether the parent is there."""
_PR_SET_PDEATHSIG = 1


def when_parent_is_gone(parent: int, end: Callable[[], None]) -> None:
    """Call `end`, once and in a thread of its own, when `parent` is not or no longer the parent of this process."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        end()

    threading.Thread(target=watch, name="parent", daemon=True).start()


def sigterm_with_parent() -> None:
    """Have the kernel send SIGTERM at the moment at which the thread ends that started this process (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
