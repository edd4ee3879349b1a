"""Stages of a job → one log line each, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from service.logs import log


def timed_stages(job: str, seconds: dict[str, float]) -> Callable[[str], AbstractContextManager[None]]:
    """Give the wrapper that `Tools.stage` wants; it fills `seconds`."""

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            seconds[name] = time.perf_counter() - start
            log.info("stage", extra={"job": job, "stage": name, "seconds": round(seconds[name], 3)})

    return stage
