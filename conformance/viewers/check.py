"""Real heads → results → what every installed viewer and reader shows of them: `make viewers`.

Exit codes: 0 everything is shown correctly · 1 something is not · 2 something is not installed. Screenshots and
summary.json are written below --out; they show real heads and stay out of the repository.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pydicom

from conformance.viewers.archive import Archive, running_archive
from conformance.viewers.browser import HERE, missing, open_study
from conformance.viewers.position import wrong_overlays
from conformance.viewers.readers import by_cornerstone, cornerstone_installed, empty_previews, unreadable_in_html
from lnc_dicom.cli.console import show_line

DATA = HERE.parents[2] / "shared" / "data"
HEADS = {"philips-ingenia-3t": "t1/*", "siemens-xa30-enhanced": "5_*/*"}
"""Folders of real studies, each with the files of its T1-weighted series."""
KINDS = ("SEG", "SR", "PM", "SC", "PDF")
_PROCESS = [sys.executable, "-c", "from lnc_service.cli import main; main()", "process"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one viewer or reader showed one object correctly; `what` says what was wrong."""

    head: str
    reader: str
    object: str
    shown: bool
    what: str


def main() -> None:
    """Run the check and print one line per object and reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument("--viewer", default="ohif", help="ohif, ohif-3.12, ohif-3.11 or volview")
    parser.add_argument("--head", action="append", choices=HEADS, help="default: all")
    parser.add_argument("--results", type=Path, help="folder with existing results, one folder per head")
    chosen = parser.parse_args()
    absent = missing(chosen.viewer) or (None if DATA.is_dir() else "../shared/data does not exist")
    if absent:
        show_line(absent)
        sys.exit(2)
    findings = []
    for head in chosen.head or HEADS:
        results = chosen.results / head if chosen.results else _process(head, chosen.out / head / "results")
        for finding in check(head, results, chosen.out / head, chosen.viewer):
            findings.append(finding)
            show_line(f"{'shown' if finding.shown else 'NOT':<6} {head} · {finding.reader} · {finding.object}")
            if finding.what:
                show_line(f"       {finding.what}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "summary.json").write_text(json.dumps([asdict(v) for v in findings], indent=1))
    sys.exit(0 if all(v.shown for v in findings) else 1)


def _process(head: str, out: Path) -> Path:
    """Process a head with the default kinds of objects."""
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run([*_PROCESS, str(DATA / head), "--out", str(out)], check=True, capture_output=True)
    return out


def check(head: str, results: Path, out: Path, viewer: str) -> Iterator[Finding]:
    """Show the results of one head to every reader, the viewer first."""
    sources = sorted(p for p in (DATA / head).glob(HEADS[head]) if p.is_file())
    work = out / "work"
    shutil.rmtree(work, ignore_errors=True)
    with running_archive(work) as archive:
        archive.store([*sources, *sorted(results.glob("*.dcm"))])
        yield from in_viewer(head, archive, results / "segmentation.dcm", sources, out / viewer, viewer)
        empty = empty_previews(archive)
        yield Finding(head, "Orthanc's previews", "all", not empty, ", ".join(empty))
    shutil.rmtree(work / "storage", ignore_errors=True)
    yield from without_window(head, results, sources, work)


def in_viewer(
    head: str, archive: Archive, segmentation: Path, sources: Sequence[Path], out: Path, viewer: str
) -> Iterator[Finding]:
    """Open the study in a browser; compare position and colour of the overlays of the SEG with its labels."""
    shutil.rmtree(out, ignore_errors=True)
    header = pydicom.dcmread(segmentation, stop_before_pixels=True)
    study_uid, series_uid = str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    report = open_study(archive, study_uid, out, viewer=viewer, kinds=("SEG",) if viewer == "volview" else KINDS)
    reader = f"{viewer} {report['viewer_version']}"
    for found in report["objects"]:
        wrong = []
        if found["uid"] == series_uid and viewer != "volview":
            wrong = wrong_overlays(out, segmentation, sources)
        shown = found["status"] == "shown" and not wrong
        what = "; ".join([*([found["why"]] if found.get("why") else []), *wrong])
        yield Finding(head, reader, f"{found['kind']} {found['description']}", shown, what)


def without_window(head: str, results: Path, sources: Sequence[Path], work: Path) -> Iterator[Finding]:
    """Read the results with Cornerstone's adapters and dsr2html."""
    if cornerstone_installed():
        theirs, ours = by_cornerstone(results / "segmentation.dcm", sources, work)
        differing = int((theirs.labels != ours.labels).sum())
        same = differing == 0 and theirs.names == ours.names and not theirs.overlapping
        yield Finding(head, "Cornerstone's adapters", "SEG", same, f"{differing} voxels differ" if differing else "")
    unreadable = unreadable_in_html(results / "measurements.dcm")
    what = f"{len(unreadable)} numbers without their names, the first: {unreadable[0]}" if unreadable else ""
    yield Finding(head, "dsr2html", "SR", not unreadable, what)


if __name__ == "__main__":
    main()
