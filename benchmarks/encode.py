"""Encode the default objects of a 256³ head; write and read the SEG side by side with dcmqi: medians and sizes.

python benchmarks/encode.py [RUNS]      (dcmqi lies beside the interpreter)
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.anatomy import STRUCTURES  # noqa: E402
from lnc_dicom.encode import encode  # noqa: E402
from lnc_dicom.encode.provenance import Provenance  # noqa: E402
from lnc_dicom.encode.seg.binary import segmentation  # noqa: E402
from lnc_dicom.report import Report  # noqa: E402
from lnc_dicom.study.load import load  # noqa: E402
from lnc_dicom.study.read import read_study  # noqa: E402
from lnc_dicom.study.select_t1 import select  # noqa: E402
from lnc_dicom.types import Measurement, Segmented  # noqa: E402
from lnc_service.validate.main import find_program  # noqa: E402
from tests.factories import MODEL, NOW, head, layout, write_series  # noqa: E402

SHAPE = (256, 256, 256)
RADIUS_MM = 12.0


def _report(folder: Path) -> Report:
    """Give a report of a 256³ head with a ball for every structure, about 7 mL each; nothing is measured."""
    study = read_study([folder])
    selection = select(study)
    volume, sources = load(selection.chosen)
    labels = np.zeros(volume.shape, np.uint8)
    mm = np.stack(np.meshgrid(*(np.arange(n) - n / 2 for n in volume.shape), indexing="ij", sparse=False))
    for s in STRUCTURES:
        row, side = (s.label - 1) // 2, 1 if s.label % 2 else -1
        centre = np.array([side * 20.0, 30.0 * (row % 3 - 1), 30.0 * (row // 3 - 1)]).reshape(3, 1, 1, 1)
        labels[((mm - centre) ** 2).sum(axis=0) < RADIUS_MM**2] = s.label
    counts = np.bincount(labels.ravel())
    found = tuple(Measurement(s, int(counts[s.label]), counts[s.label] / 1000) for s in STRUCTURES)
    segmented = Segmented(volume.with_array(labels), {})
    return Report(study, selection, sources, volume, segmented, found, (), (), MODEL)


def _median_s(what: Callable[[], object], runs: int) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        what()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _dcmqi_input(report: Report, folder: Path) -> list[str]:
    """Write labels and description for itkimage2segimage; give its arguments."""
    sitk.WriteImage(report.labels.to_simpleitk(), str(folder / "labels.nrrd"), useCompression=False)
    category = {"CodeValue": "91723000", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Anatomical Structure"}
    kind = {"CodeValue": "12738006", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Brain"}
    segments = [
        {
            "labelID": s.label,
            "SegmentLabel": s.title,
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "benchmark",
            "SegmentedPropertyCategoryCodeSequence": category,
            "SegmentedPropertyTypeCodeSequence": kind,
            "recommendedDisplayRGBValue": list(s.rgb),
        }
        for s in STRUCTURES
    ]
    described = {"ContentCreatorName": "A^B", "SeriesDescription": "SEG", "SeriesNumber": "1", "InstanceNumber": "1"}
    (folder / "seg.json").write_text(json.dumps({**described, "segmentAttributes": [segments]}))
    return ["--inputImageList", str(folder / "labels.nrrd"), "--inputMetadata", str(folder / "seg.json")]


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "head", Path(name) / "out"
        out.mkdir()
        write_series(folder, *layout(*head(SHAPE, (1.0, 1.0, 1.0)), (2, 1, 0), (1, 1, 1)))
        report = _report(folder)
        print(f"all default objects: {_median_s(lambda: encode(report, NOW), runs):.2f} s, median of {runs}")
        start = time.process_time()
        encode(report, NOW)
        print(f"  of the processor: {time.process_time() - start:.2f} s")
        for item in encode(report, NOW):
            (out / item.name).write_bytes(item.data)
            print(f"  {item.name}: {len(item.data) / 1000:.0f} kB")
        _compare(report, folder, out, runs)


def _compare(report: Report, folder: Path, out: Path, runs: int) -> None:
    """Time writing and reading of the SEG, ours and dcmqi's by turns; both from files to a file."""
    ours, theirs = out / "segmentation.dcm", out / "dcmqi.dcm"
    made = _dcmqi_input(report, out)
    writer, reader = find_program("itkimage2segimage"), find_program("segimage2itkimage")
    if writer is None or reader is None:
        sys.exit("dcmqi is not installed")

    def write() -> None:
        headers = tuple(pydicom.dcmread(p, stop_before_pixels=True) for p in sorted(folder.iterdir()))
        read = replace(report, sources=headers)
        segmentation(read, Provenance(read, NOW)).save_as(ours, enforce_file_format=True)

    def write_only() -> None:
        segmentation(report, Provenance(report, NOW)).save_as(ours, enforce_file_format=True)

    def read() -> None:
        hd.seg.segread(ours).get_volume(combine_segments=True)

    to, merged = ["--outputDICOM"], ["--mergeSegments"]
    tasks: dict[str, Callable[[], None]] = {
        "write, ours, sources in memory": write_only,
        "write, ours, reading the headers of the sources": write,
        "write, dcmqi": lambda: _run([writer, *made, "--inputDICOMDirectory", str(folder), *to, str(theirs)]),
        "read, ours": read,
        "read, dcmqi": lambda: _run([reader, "--inputDICOM", str(ours), "--outputDirectory", str(out), *merged]),
    }
    for name, task in tasks.items():
        print(f"{name}: {_median_s(task, runs):.2f} s")
    print(f"sizes: ours {ours.stat().st_size / 1000:.0f} kB, dcmqi {theirs.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
