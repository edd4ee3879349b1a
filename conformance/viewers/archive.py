"""A temporary Orthanc with DICOMweb on this machine, filled with DICOM files."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnc_service.demo.main import free_port
from lnc_service.validate.main import find_program

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
"""Where Debian's orthanc-dicomweb puts it."""
_START_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Archive:
    """A running Orthanc; `url` is its REST interface, below which /dicom-web is DICOMweb."""

    url: str

    def get(self, path: str) -> bytes:
        """GET a path and give the body of the answer."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=120) as answer:  # noqa: S310 - our own loopback
            return bytes(answer.read())

    def ask(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """GET a path and give the answer as JSON."""
        return json.loads(self.get(path))

    def store(self, files: Iterable[Path]) -> int:
        """Store files and give their number. Raises HTTPError if Orthanc refuses one."""
        count = 0
        for file in files:
            request = urllib.request.Request(f"{self.url}/instances", data=file.read_bytes())  # noqa: S310 - loopback
            with urllib.request.urlopen(request, timeout=120):  # noqa: S310
                count += 1
        return count


@contextmanager
def running_archive(folder: Path) -> Iterator[Archive]:
    """Run Orthanc with its storage below `folder` until the end of the block."""
    port, dicom_port = free_port(), free_port()
    folder.mkdir(parents=True)
    config = {
        "Name": "viewers",
        "HttpPort": port,
        "DicomPort": dicom_port,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(DICOMWEB_PLUGIN)],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "UnknownSopClassAccepted": True,  # Orthanc 1.10 does not know Label Map Segmentation Storage
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    program = find_program("Orthanc")
    if program is None:
        raise FileNotFoundError("Orthanc is not installed")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stderr=log, stdout=log)
        try:
            archive = Archive(f"http://127.0.0.1:{port}")
            _wait_for(archive)
            yield archive
        finally:
            process.terminate()
            process.wait()


def _wait_for(archive: Archive) -> None:
    end = time.monotonic() + _START_LIMIT_S
    while True:
        try:
            archive.ask("/system")
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
