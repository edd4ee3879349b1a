"""Outside validators and readers: how each is asked about a file, and which lines of its answer count."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

from lnc_dicom.uids import LABEL_MAP_SEGMENTATION

_DEBIAN = "/usr/local/bin:/usr/bin:/usr/sbin"
_LIMIT_S = 300
_REPORTS = frozenset({Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage, BasicTextSRStorage})
_TEMPLATED = frozenset({Comprehensive3DSRStorage, ComprehensiveSRStorage})
_SEGMENTATIONS = frozenset({SegmentationStorage, LABEL_MAP_SEGMENTATION})
_JAVA = {"JDK_JAVA_OPTIONS": " ".join(f"-Djdk.xml.xpath{n}=0" for n in ("ExprGrpLimit", "ExprOpLimit", "TotalOpLimit"))}
"""PixelMed's style sheets are larger than Java allows by default."""


@dataclass(frozen=True, slots=True)
class Program:
    """A validator or reader.

    sop_classes
        Classes that it is asked about; None: all.
    options
        "FILE" and "FOLDER" stand for the file and a folder that is thrown away.
    counts
        Lines of its answer that count.
    fails
        Whether an exit status other than 0 means something by itself.
    """

    name: str
    options: tuple[str, ...]
    counts: str
    sop_classes: frozenset[str] | None = None
    fails: bool = True
    environment: Mapping[str, str] | None = None


_DCMTK = r"^(W:|E:|F:|ERROR|WARNING|Warning|Error)"
PROGRAMS = (
    Program("dciodvfy", ("FILE",), r"^(Error|Warning)|- Warning - ", fails=False),
    Program("dsrdump", ("FILE",), _DCMTK, _REPORTS),
    Program(
        "segimage2itkimage",
        ("--inputDICOM", "FILE", "--outputDirectory", "FOLDER", "--mergeSegments"),
        _DCMTK,
        _SEGMENTATIONS,
    ),
    Program("tid1500reader", ("--inputDICOM", "FILE", "--outputMetadata", "FOLDER/sr.json"), _DCMTK, _TEMPLATED),
    Program(
        "paramap2itkimage",
        ("--inputDICOM", "FILE", "--outputDirectory", "FOLDER"),
        _DCMTK,
        frozenset({ParametricMapStorage}),
    ),
    Program("DicomSRValidator", ("FILE",), r"^(Error|Warning)", _TEMPLATED, fails=False, environment=_JAVA),
)
"""Who is asked about one file at a time."""
TOGETHER = Program("dcentvfy", ("FILE",), r"^(Error|Warning)", fails=False)
"""Who is asked about all files at once."""
EDITION = Program(
    "validate_iods",
    ("--standard-path", "STANDARD", "--edition", "local", "--suppress-vr-warnings", "FILE"),
    r"^\s*(Tag |Unknown SOP|Traceback|Failed)",
    fails=False,
)
"""dicom-validator; it needs a folder with an edition of the standard, and would download one without it."""


def find_program(name: str) -> str | None:
    """Path of a program: Debian's first, then what lies beside the interpreter (dcmqi)."""
    return shutil.which(name, path=_DEBIAN) or shutil.which(name, path=str(Path(sys.executable).parent))


def ask(program: Program, path: str, files: Sequence[Path], standard: Path | None = None) -> list[str]:
    """Run a program on files; give the lines that count, and how it ended where that was badly."""
    with tempfile.TemporaryDirectory() as folder:
        command = [path]
        for option in program.options:
            filled = option.replace("FOLDER", folder).replace("STANDARD", str(standard))
            command += [str(f.resolve()) for f in files] if option == "FILE" else [filled]
        try:
            done = subprocess.run(  # noqa: S603 - a program that was found above
                command,
                capture_output=True,
                check=False,
                cwd=folder,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **(program.environment or {})},
                timeout=_LIMIT_S,
            )
        except subprocess.TimeoutExpired:
            return [f"no answer within {_LIMIT_S} s"]
    said = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines()]
    lines = [line for line in said if re.search(program.counts, line)]
    return [*lines, f"exit status {done.returncode}"] if program.fails and done.returncode else lines
