"""Result files → how readers without a window read them: Cornerstone's adapters, dsr2html, Orthanc's previews."""

from __future__ import annotations

import html
import io
import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from highdicom.sr import ValueTypeValues
from highdicom.sr.utils import find_content_items
from PIL import Image
from pydicom.uid import ParametricMapStorage

from conformance.viewers.archive import Archive
from conformance.viewers.browser import HERE, find_node
from lnc_service.validate.main import find_program

_LIMIT_S = 300
_SHORT_LINE = 7
"""Number of frames of an image that are checked, evenly spread."""


def cornerstone_installed() -> bool:
    """Whether Cornerstone's adapters and node are installed."""
    return find_node() is not None and (HERE / "node_modules" / "@cornerstonejs" / "adapters").is_dir()


@dataclass(frozen=True, slots=True)
class Understood:
    """A SEG as a reader decoded it.

    labels
        uint8, axes (image of the source series, row, column).
    names
        Label of every segment, by number.
    """

    labels: npt.NDArray[np.uint8]
    names: dict[int, str]
    overlapping: bool


def by_cornerstone(segmentation: Path, sources: Sequence[Path], work: Path) -> tuple[Understood, Understood]:
    """Read a SEG with Cornerstone's adapters and with highdicom, on the same images in the same order."""
    out = work / "cornerstone"
    command = [str(find_node()), str(HERE / "cornerstone.mjs"), str(segmentation), str(out)]
    subprocess.run([*command, *map(str, sources)], check=True, capture_output=True, timeout=_LIMIT_S)
    found = json.loads(out.with_suffix(".json").read_text())
    shape = (len(found["images"]), found["rows"], found["columns"])
    labels = np.frombuffer(out.with_suffix(".bin").read_bytes(), np.uint8).reshape(shape)
    theirs = Understood(labels, {s["number"]: s["label"] for s in found["labels"]}, bool(found["overlapping"]))
    return theirs, by_highdicom(segmentation, [(i["sop"], i["frame"]) for i in found["images"]])


def by_highdicom(segmentation: Path, images: Sequence[tuple[str, int]]) -> Understood:
    """Read a SEG by the images (SOP Instance UID, frame) that its frames name as their sources."""
    seg = hd.seg.segread(segmentation)
    uids = [uid for uid, _ in images]
    frames = None if len(set(uids)) == len(uids) else [frame for _, frame in images]
    labels = labels_of(seg, uids, frames)
    names = {int(s.SegmentNumber): str(s.SegmentLabel) for s in seg.SegmentSequence}
    return Understood(labels, names, overlapping=False)


def labels_of(seg: hd.seg.Segmentation, uids: Sequence[str], frames: Sequence[int] | None) -> npt.NDArray[np.uint8]:
    """Give labels (image, row, column) of single-frame images, or of frames of the one multi-frame image."""
    if frames is None:
        labels = seg.get_pixels_by_source_instance(
            uids, combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
        )
    else:
        labels = seg.get_pixels_by_source_frame(
            uids[0], frames, combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
        )
    return labels.astype(np.uint8)


def numbers_of(report: Path) -> list[tuple[str, str, str]]:
    """Give every number of a report as (name, value, unit), ranges of uncertainty included."""
    items = find_content_items(pydicom.dcmread(report), value_type=ValueTypeValues.NUM, recursive=True)
    return [
        (
            str(item.ConceptNameCodeSequence[0].CodeMeaning),
            str(value.NumericValue),
            str(value.MeasurementUnitsCodeSequence[0].CodeValue),
        )
        for item in items
        for value in item.MeasuredValueSequence
    ]


def unreadable_in_html(report: Path) -> list[str]:
    """Give the numbers of a report that DCMTK's dsr2html does not print directly after their name."""
    command = [str(find_program("dsr2html")), str(report)]
    page = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LIMIT_S).stdout
    text = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))
    return [f"{name} {value}" for name, value, _ in numbers_of(report) if not _printed(text, name, value)]


def _printed(text: str, name: str, value: str) -> bool:
    return re.search(rf"{re.escape(name)} ?[:=]? ?{re.escape(value)}(?![\d.])", text) is not None


def empty_previews(archive: Archive) -> list[str]:
    """Give the kinds of results whose previews in Orthanc have only one colour."""
    empty = []
    for identifier in archive.ask("/instances"):
        tags = archive.ask(f"/instances/{identifier}/simplified-tags")
        count = int(tags.get("NumberOfFrames", 1) or 1)
        ours = str(tags.get("SeriesNumber", "")).startswith("9")
        if not ours or "Rows" not in tags or tags["SOPClassUID"] == ParametricMapStorage:  # of floats it has no preview
            continue
        frames = np.unique(np.linspace(0, count - 1, min(count, _SHORT_LINE)).astype(int))
        for frame in frames:
            picture = Image.open(io.BytesIO(archive.get(f"/instances/{identifier}/frames/{frame}/preview")))
            if len(set(np.asarray(picture.convert("L")).ravel().tolist())) == 1:
                empty.append(f"{tags['Modality']} frame {frame + 1}")
    return empty
