"""Overlays that OHIF drew ↔ labels stored in the SEG: same position, right colour.

For each overlay there are two screenshots of the canvas, with segments switched on and off. Their difference is the
overlay, whatever its colours; it is compared with all labels of the slice that was shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom import Dataset
from scipy import ndimage

from conformance.viewers.readers import labels_of

MINIMUM_OVERLAP = 0.9
"""Minimum intersection over union of overlay and labels, in canvas pixels."""
COLOUR_TOLERANCE = 12.0
"""Maximum median distance, of 255, of the colour drawn from the recommended one, blended over the image."""
_CHANGED = 3
_BORDER = 3

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.float64]


def wrong_overlays(folder: Path, segmentation: Path, sources: Sequence[Path]) -> list[str]:
    """Compare every overlay with its labels; give one line for each whose position or colour is wrong.

    folder
        Output of view.mjs: view.json and the screenshots.
    """
    seg = hd.seg.segread(segmentation)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in sources]
    view = json.loads((folder / "view.json").read_text())
    shown = [o for o in view["objects"] if o["kind"] == "SEG" and o["uid"] == seg.SeriesInstanceUID]
    if not shown or not shown[0].get("segments"):
        return ["the SEG was not shown"]
    numbers = {str(s.SegmentLabel): int(s.SegmentNumber) for s in seg.SegmentSequence}
    colours = {int(s["number"]): s["rgb"] for o in view["series"] if o["uid"] == shown[0]["uid"] for s in o["segments"]}
    wrong = []
    for segment in shown[0]["segments"]:
        if segment.get("empty"):
            continue
        reason = _wrong(folder, segment, numbers[segment["label"]], _Slices(seg, headers), colours)
        if reason:
            wrong.append(f"{segment['label']}: {reason}")
    return wrong


class _Slices:
    """Gives the labels of the slice that a viewer shows."""

    def __init__(self, seg: hd.seg.Segmentation, headers: Sequence[Dataset]) -> None:
        self._seg, self._headers = seg, headers

    def shown(self, text: str) -> tuple[Labels, tuple[float, float]] | None:
        """Give labels and pixel spacing (row, column) in mm of the slice in an overlay text such as I:106 (65/170)."""
        found = re.search(r"I:\s*(\d+) \((\d+)/", text)
        if found is None:
            return None
        number, place = map(int, found.groups())
        if "PerFrameFunctionalGroupsSequence" in self._headers[0]:
            return self._of_frame(self._headers[0], place)  # the instance number is the same for all frames
        header = next((h for h in self._headers if int(h.InstanceNumber) == number), None)
        if header is None:
            return None
        labels = labels_of(self._seg, [header.SOPInstanceUID], None)[0]
        return labels, (float(header.PixelSpacing[0]), float(header.PixelSpacing[1]))

    def _of_frame(self, header: Dataset, number: int) -> tuple[Labels, tuple[float, float]]:
        labels = labels_of(self._seg, [header.SOPInstanceUID], [number])[0]
        groups = (header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[number - 1])
        measures = next(g.PixelMeasuresSequence[0] for g in groups if "PixelMeasuresSequence" in g)
        return labels, (float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1]))


def _wrong(
    folder: Path, segment: Mapping[str, Any], number: int, slices: _Slices, colours: Mapping[int, Sequence[int]]
) -> str | None:
    """Say why the overlay of one segment is wrong; None if it is right."""
    shown = slices.shown(segment["slice"])
    if shown is None or not segment.get("pictures"):
        return "no overlay was seen"
    labels, spacing_mm = shown
    if number not in labels:
        return "clicking its name leads to a slice without it"
    on, off = (np.asarray(Image.open(folder / p).convert("RGB"), dtype=np.float64) for p in segment["pictures"])
    expected = on_canvas(labels, spacing_mm, (on.shape[0], on.shape[1]))
    changed: Mask = np.abs(on - off).max(axis=-1) > _CHANGED
    overlap = float((changed & (expected > 0)).sum() / max(1, (changed | (expected > 0)).sum()))
    if overlap < MINIMUM_OVERLAP:
        return f"overlay and labels of its slice overlap by only {overlap:.2f}"
    return _wrong_colour(on, off, expected, colours)


def on_canvas(labels: Labels, spacing_mm: tuple[float, float], shape: tuple[int, int]) -> Labels:
    """Place the labels of a slice on a canvas (height, width), scaled to fit and centred."""
    rows, columns = labels.shape
    scale = min(shape[1] / (columns * spacing_mm[1]), shape[0] / (rows * spacing_mm[0]))  # canvas pixels per mm
    axes = []
    for length, count, spacing in ((shape[0], rows, spacing_mm[0]), (shape[1], columns, spacing_mm[1])):
        start = (length - scale * count * spacing) / 2
        axes.append(np.floor((np.arange(length) + 0.5 - start) / (scale * spacing)).astype(int))
    y, x = np.meshgrid(*axes, indexing="ij")
    inside = (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    placed = np.zeros(shape, np.uint8)
    placed[inside] = labels[y[inside], x[inside]]
    return placed


def _wrong_colour(on: Pixels, off: Pixels, expected: Labels, colours: Mapping[int, Sequence[int]]) -> str | None:
    """Compare the colours drawn with on = off + alpha (colour - off), where alpha is the same everywhere."""
    inner = {n: ndimage.binary_erosion(expected == n, iterations=_BORDER) for n in np.unique(expected) if n}
    inner = {n: mask for n, mask in inner.items() if mask.any()}
    towards = {n: np.asarray(colours[int(n)], dtype=float) - off[mask] for n, mask in inner.items()}
    drawn = {n: (on - off)[mask] for n, mask in inner.items()}
    if not inner:
        return None
    alpha = sum(float((drawn[n] * t).sum()) for n, t in towards.items()) / sum(
        float((t * t).sum()) for t in towards.values()
    )
    for n, t in towards.items():
        distance = float(np.median(np.abs(drawn[n] - alpha * t).max(axis=-1)))
        if distance > COLOUR_TOLERANCE:
            return f"the colour of segment {n} is off by {distance:.0f} of 255"
    return None
