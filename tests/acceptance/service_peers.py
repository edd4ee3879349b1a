"""Peers of the service: a PACS that remembers, small studies, `lnc serve` with a stub, PostgreSQL."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt

from lnc_service.demo.main import free_port
from tests.acceptance.conftest import Service
from tests.acceptance.service_stub import PROGRAM
from tests.factories import write_series


class Pacs:
    """A PACS that remembers every C-STORE; `answer` gives the status for one; `unknown` are classes that it lacks."""

    def __init__(self, title="PACS", port=0, answer=lambda dataset: 0, unknown=()):
        self.title, self.port, self.answer, self.unknown = title, port or free_port(), answer, unknown
        self.stored, self.offered = [], []
        self._ae = None

    def start(self):
        self._ae = AE(ae_title=self.title)
        self._ae.supported_contexts = [
            context for context in AllStoragePresentationContexts if context.abstract_syntax not in self.unknown
        ]
        self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._on_store)])
        return self

    def _on_store(self, event):
        status = self.answer(event.dataset)
        row = (str(event.dataset.StudyInstanceUID), str(event.dataset.Modality))
        self.offered.append(row)
        if status == 0:
            digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
            self.stored.append((*row, str(event.dataset.SOPInstanceUID), digest))
        return status

    def stop(self):
        if self._ae is not None:
            self._ae.shutdown()
            self._ae = None

    def studies(self):
        """Studies in the order in which their results came."""
        return list(dict.fromkeys(row[0] for row in self.stored))


@contextmanager
def running(folder, *pacs, **options):
    """Run the service with the stub and destinations; the first is `[pacs]`."""
    first, *others = pacs
    more = options.pop("more", "") + "".join(
        f'[[others]]\nhost = "127.0.0.1"\nport = {p.port}\nae_title = "{p.title}"\ntimeout_s = 5\n' for p in others
    )
    options = {"quiet_s": 1, **options}
    service = Service(folder, first.port, PROGRAM, more, title=first.title, **options)
    try:
        yield service
    finally:
        service.stop()
        for p in pacs:
            p.stop()


def small_study(folder, count=4, **kwargs):
    """Write a small study; give its UID and files."""
    uid = kwargs.pop("study_uid", None) or generate_uid()
    array = np.arange(count * 64, dtype=np.float32).reshape(count, 8, 8)
    return uid, write_series(folder, array, np.eye(4), study_uid=uid, **kwargs)


def study_name(uid):
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


@contextmanager
def postgresql():
    """Run a PostgreSQL of its own, as the user postgres where we are root; gives its URL. Skips where there is none."""
    programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    port, data = free_port(), Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's folders are for their owner only
    if user:
        shutil.chown(data, "postgres", "postgres")

    def run(name, *arguments):
        command = [*user, programs / name, *arguments]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, cwd=data)

    run("initdb", "-D", data / "d", "-A", "trust", "-U", "lnc")
    server = f"-p {port} -k {data} -c listen_addresses=127.0.0.1"
    run("pg_ctl", "-D", data / "d", "-w", "-l", data / "log", "-o", server, "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", port, "-U", "lnc", "lnc")
        yield f"postgresql://lnc@127.0.0.1:{port}/lnc"
    finally:
        run("pg_ctl", "-D", data / "d", "-m", "immediate", "stop")
        shutil.rmtree(data)
