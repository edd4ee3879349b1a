"""DICOM files → what outside validators and readers say about them. The only door to those programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from lnc_dicom.errors import PathMissing

_DEBIAN = "/usr/local/bin:/usr/bin:/usr/sbin"
_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Finding:
    """What one program said about one file; no error text means that it had nothing to say."""

    file: Path
    program: str
    error: str

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.error


def validate(files: Sequence[Path]) -> list[Finding]:
    """Ask everyone who is installed about every file. Raises PathMissing."""
    findings = []
    for file in files:
        if not file.is_file():
            raise PathMissing(f"there is no file {file}")
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True)
        except InvalidDicomError:
            findings.append(Finding(file, "pydicom", "not a DICOM file"))
            continue
        findings.append(Finding(file, "lnc-dicom", "; ".join(_our_checks(header))))
        for program, ask in _programs(header):
            path = find_program(program)
            if path is not None:
                findings.append(Finding(file, program, ask(path, file)))
    return findings


def find_program(name: str) -> str | None:
    """Path of a program: Debian's first, then what lies beside the interpreter (dcmqi)."""
    return shutil.which(name, path=_DEBIAN) or shutil.which(name, path=str(Path(sys.executable).parent))


def _our_checks(header: Dataset) -> list[str]:
    """Check what we promise of our own objects beyond the standard; nothing for objects of others."""
    if header.get("Manufacturer") != "lnc-dicom":
        return []
    wrong = []
    if header.get("ContentQualification") != "RESEARCH":
        wrong.append("Content Qualification is not RESEARCH")
    if "RESEARCH" not in str(header.get("SeriesDescription")):
        wrong.append("Series Description does not say RESEARCH")
    if header.SOPClassUID == SegmentationStorage:
        numbers = [segment.SegmentNumber for segment in header.SegmentSequence]
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append("segment numbers do not count from 1")
    return wrong


def _programs(header: Dataset) -> list[tuple[str, Callable[[str, Path], str]]]:
    """Who is asked about an object of this class."""
    asked: list[tuple[str, Callable[[str, Path], str]]] = [("dciodvfy", _dciodvfy)]
    if header.SOPClassUID == SegmentationStorage:
        asked.append(("segimage2itkimage", _segimage2itkimage))
    if header.SOPClassUID == Comprehensive3DSRStorage:
        asked += [("dsrdump", lambda path, file: _fails([path, str(file)])), ("tid1500reader", _tid1500reader)]
    return asked


def _dciodvfy(path: str, file: Path) -> str:
    """Errors of dicom3tools' validator; its warnings quote patient data and are left out."""
    done = subprocess.run([path, str(file)], capture_output=True, text=True, check=False, timeout=_LIMIT_S)  # noqa: S603
    return "; ".join(line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error"))


def _segimage2itkimage(path: str, file: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _fails([path, "--inputDICOM", str(file), "--outputDirectory", folder, "--mergeSegments"])


def _tid1500reader(path: str, file: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return _fails([path, "--inputDICOM", str(file), "--outputMetadata", str(Path(folder) / "sr.json")])


def _fails(command: list[str]) -> str:
    """Empty if a program ends well, else its exit status."""
    done = subprocess.run(command, capture_output=True, check=False, timeout=_LIMIT_S)  # noqa: S603 - found above
    return "" if done.returncode == 0 else f"exit status {done.returncode}"
