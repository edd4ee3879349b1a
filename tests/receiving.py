"""A receiver in this process, on a loopback port of its own."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager

from lnc_service.demo.main import free_port
from lnc_service.demo.sample import mr_series
from lnc_service.receiver.receive import Receiver
from lnc_service.settings import Listen
from lnc_service.spool import Spool
from tests.factories import NOW, head
from tests.raw_scu import Association, Rejected, encoded


@contextmanager
def receiving(folder, **settings):
    """Receive into `folder`/spool; gives port and spool."""
    spool = Spool(folder / "spool")
    spool.prepare()
    port = free_port()
    receiver = Receiver(Listen(host="127.0.0.1", port=port, **({"free_disk_mb": 0} | settings)), spool)
    try:
        yield port, spool
    finally:
        receiver.shutdown()


def image():
    """One MR image of a sample head."""
    return next(mr_series(*head(), NOW))


def lets_in(port, limit_s=0.0, **who):
    """Tell whether a good sender gets an answer, after how many seconds; None within the limit."""
    start = time.monotonic()
    while True:
        try:
            association = Association(port, timeout_s=5.0, **who)
            with closing(association.sock):
                association.open()
                assert association.echo() == 0
                association.release()
            return time.monotonic() - start
        except (Rejected, OSError):
            if time.monotonic() - start > limit_s:
                return None
            time.sleep(0.05)


def objects_in(spool):
    """Every object that was kept for a job."""
    return sorted(spool.received.glob("*/*.dcm"))


def sample():
    """One MR image, encoded."""
    return encoded(image())
