"""The whole loop on one machine: sample head → service → embedded archive, over real sockets on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.uid import MRImageStorage
from pynetdicom import AE, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lnc_dicom.cli.console import complaints, quieten_libraries, show_line
from lnc_dicom.encode.pages.summary import SERIES_NUMBER as SUMMARY_SERIES
from lnc_dicom.errors import Unavailable, UnusableInput
from lnc_dicom.outputs import DEFAULT_OUTPUTS
from lnc_service.demo.sample import icbm152, mr_series

ARCHIVE_AE_TITLE = "ARCHIVE"
_STUDY_QUIET_S = 2.0
_START_LIMIT_S = 60.0
_RESULT_LIMIT_S = 180.0
_RESULTS = 6
"""SEG, SR, summary page; of the demonstration model, because the demonstration asks for it: SR, page, saliency."""


class DemoFailed(Unavailable):
    """The demonstration did not come to its end."""

    code = "LNC-210"
    do = "Look at service.log in the folder of the demonstration."


def run_demo(folder: Path) -> None:
    """Send a sample head as a scanner would and wait for the results to come back. Raises DemoFailed."""
    quieten_libraries()
    _config.LOG_HANDLER_LEVEL = "none"
    images = list(mr_series(*_axial(), datetime.now(UTC)))
    _clear(folder)
    archive_folder = folder / "archive"
    archive_folder.mkdir(parents=True)
    port = free_port()
    with (
        embedded_archive(archive_folder) as archive_port,
        _service(folder, port, archive_port) as alive,
        _steps() as step,
    ):
        step("starting the service")
        _wait(lambda: _answers(port), alive, _START_LIMIT_S, "the service did not answer")
        step(f"sending {len(images)} images")
        _send(images, port)
        sent = time.perf_counter()
        step("measuring")
        _wait(
            lambda: len(list(archive_folder.glob("*.dcm"))) >= _RESULTS, alive, _RESULT_LIMIT_S, "no results came back"
        )
        waited = time.perf_counter() - sent
    page = _extract_page(archive_folder, folder / "summary.png")
    show_line(f"The sample head (ICBM152) was received, measured and sent back {waited:.1f} s after its last image,")
    show_line(f"{_STUDY_QUIET_S:.0f} s of them quiet time.")
    show_line(f"  summary page    {page}")
    for path in sorted(archive_folder.glob("*.dcm")):
        show_line(f"  {pydicom.dcmread(path, specific_tags=['Modality']).Modality:<15} {path}")
    show_line(f"  log of service  {folder / 'service.log'}")
    show_line("RESEARCH - NOT FOR DIAGNOSTIC USE")


def _axial() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Turn the template to axial slices: axes (S, P, L)."""
    array, lps_mm = icbm152()
    return array.transpose(2, 1, 0), lps_mm[:, [2, 1, 0, 3]]


def _clear(folder: Path) -> None:
    """Empty the folder of an earlier demonstration; refuse any other folder that holds something."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / "lnc.toml").is_file():
            raise UnusableInput(f"{folder} holds other files")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def embedded_archive(folder: Path) -> Iterator[int]:
    """Run a small storage SCP that keeps what it gets as files; gives its port."""

    def on_store(event: evt.Event) -> int:
        path = folder / f"{event.request.AffectedSOPInstanceUID.replace('/', '')}.dcm"
        part = path.with_suffix(".part")
        part.write_bytes(event.encoded_dataset())
        part.replace(path)
        return 0x0000

    ae = AE(ae_title=ARCHIVE_AE_TITLE)
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    try:
        yield int(server.server_address[1])
    finally:
        ae.shutdown()


@contextmanager
def _service(folder: Path, port: int, archive_port: int) -> Iterator[Callable[[], bool]]:
    """Run `lnc serve` as a process of its own; gives a function that says whether it still runs."""
    config = folder / "lnc.toml"
    config.write_text(
        f'spool = "{folder.resolve() / "spool"}"\n'
        f"objects = {[kind.value for kind in DEFAULT_OUTPUTS]}\n\n"
        f'[listen]\nhost = "127.0.0.1"\nport = {port}\nstudy_quiet_s = {_STUDY_QUIET_S}\n\n'
        f'[pacs]\nhost = "127.0.0.1"\nport = {archive_port}\nae_title = "{ARCHIVE_AE_TITLE}"\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-c", "from lnc_service.cli import main; main()", "serve", "--config", str(config)]
    with (folder / "service.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:  # noqa: S603
        try:
            yield lambda: process.poll() is None
        finally:
            process.terminate()
            process.wait()


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """Show what is being waited for."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=complaints, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda text: progress.update(task, description=text)


def _wait(done: Callable[[], bool], alive: Callable[[], bool], limit_s: float, otherwise: str) -> None:
    start = time.perf_counter()
    while not done():
        if not alive():
            raise DemoFailed("the service ended")
        if time.perf_counter() - start > limit_s:
            raise DemoFailed(f"{otherwise} within {limit_s:.0f} s")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    """Whether the receiver answers a C-ECHO."""
    ae = AE(ae_title="SCANNER")
    ae.connection_timeout = 1
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title="LNC")
    if not association.is_established:
        return False
    association.send_c_echo()
    association.release()
    return True


def _send(images: list[pydicom.Dataset], port: int) -> None:
    """C-STORE the images over one association."""
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(MRImageStorage, images[0].file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", port, ae_title="LNC")
    if not association.is_established:
        raise DemoFailed("the receiver refused the association")
    failed = sum(association.send_c_store(image).get("Status", -1) != 0 for image in images)
    association.release()
    if failed:
        raise DemoFailed(f"{failed} of {len(images)} images were not accepted")


def _extract_page(archive: Path, picture: Path) -> Path:
    """Write the summary page of the archive as a PNG."""
    for path in archive.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        if dataset.get("SeriesNumber") == SUMMARY_SERIES and dataset.InstanceNumber == 1:
            Image.fromarray(dataset.pixel_array).save(picture)
    return picture
