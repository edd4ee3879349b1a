"""Models → accuracy against every set of labels: those of experts on template and Eve, of FreeSurfer on heads.

    python benchmarks/labels.py DATA MODEL [MODEL …]

DATA is the folder of real heads; MODEL is the folder of a model, or a file with weights of the label network that
replaces that of the release.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.errors import StudyRejected
from lnc_dicom.geometry.resampling import resample_labels
from lnc_dicom.segment.evaluate.metrics import Score, compare, mean_of_sides, read_nifti, read_pair
from lnc_dicom.segment.evaluate.protocols import LabelProtocol
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.types import Segmented
from lnc_service.demo.sample import icbm152

_FREESURFER = ("fstd-01", "fstd-02", "fstd-06", "fstd-08", "mrtrix3_sub-01")
_COLUMNS = f"{'head':18} {'region':18} Dice   95 %, mm  lateral post. sup., mm  ours left / right, mL  theirs"


def labelled(data: Path) -> Iterator[tuple[str, LabelProtocol, hd.Volume, npt.NDArray[np.int64]]]:
    """Yield every head with labels: name, protocol, image, labels on the grid of the image."""
    array, lps_mm = icbm152()
    template = hd.Volume(array, lps_mm, coordinate_system="PATIENT")
    for protocol, file in (
        (LabelProtocol.MAGE, "icbm152-2009a-sym-mage.nii.gz"),
        (LabelProtocol.XIAO, "icbm152-2009b-asym-xiao.nii.gz"),
    ):
        theirs = read_nifti(data / "expert-labels" / file)
        truth = resample_labels(theirs.with_array(np.rint(theirs.array).astype(np.int32)), lps_mm, array.shape)
        yield f"template ({protocol})", protocol, template, truth.astype(np.int64)
    eve = data / "labelled-heads" / "eve_jhu_mni_ss"
    yield "Eve", LabelProtocol.JHU, *read_pair(eve / "t1.nii.gz", eve / "labels.nii.gz", LabelProtocol.JHU)
    for name in _FREESURFER:
        folder = data / "labelled-heads" / name
        yield name, LabelProtocol.FREESURFER, *read_pair(folder / "t1.nii.gz", folder / "labels.nii.gz")
    folder = data / "labelled"
    yield "labelled", LabelProtocol.FREESURFER, *read_pair(folder / "t1.nii.gz", folder / "aparc+aseg.nii.gz")


def segmenter_of(model: Path) -> NetworkSegmenter:
    """Load the folder of a model, or the release with other weights of the label network."""
    if model.is_dir():
        return load_segmenter(model)
    return replace(load_segmenter(), label=load_weights(model))


def lines(name: str, scores: list[Score]) -> Iterator[str]:
    """Rows of the table: the means over sides of one head."""
    for region, mean in mean_of_sides(scores).items():
        rows = [s for s in scores if s.name == region]
        offset = " ".join(f"{mm:+5.1f}" for mm in mean.offset_mm)
        if len(rows) > 2:  # several heads: their volumes are in the table of `bias`
            yield f"{name:18} {region:18} {mean.dice:.3f}  {mean.surface_mm:5.2f}  {offset}"
            continue
        ours, theirs = (
            " / ".join(f"{ml:6.2f}" for ml in side)
            for side in zip(*((s.volume_ml, s.true_ml) for s in rows), strict=True)
        )
        yield f"{name:18} {region:18} {mean.dice:.3f}  {mean.surface_mm:5.2f}  {offset}  {ours}  {theirs}"


def interval_holds(scores: list[Score], segmented: Segmented) -> dict[tuple[str, Side], bool]:
    """Whether the 90 % interval of a volume contains the volume of the labels, per structure and side."""
    found = {}
    for score in scores:
        (label,) = (s.label for s in STRUCTURES if (s.name, s.side) == (score.name, score.side))
        confidence = segmented.confidence.get(label)
        if confidence is not None and confidence.volume_error is not None:
            found[score.name, score.side] = abs(math.log(score.volume_ml / score.true_ml)) <= confidence.volume_error
    return found


def bias(scores: list[Score], holds: list[dict[tuple[str, Side], bool]]) -> Iterator[str]:
    """Volume error against FreeSurfer per structure and side, mean and SD over heads, and coverage of the intervals."""
    for name, side in dict.fromkeys((s.name, s.side) for s in scores):
        errors = [100 * s.volume_error for s in scores if (s.name, s.side) == (name, side)]
        kept = [h[name, side] for h in holds if (name, side) in h]
        spread = np.std(errors, ddof=1)
        yield f"{name:18} {side.value:6} {np.mean(errors):+6.1f} % (SD {spread:.1f})  {sum(kept)} of {len(kept)}"


def main(data: Path, models: list[Path]) -> None:
    heads = list(labelled(data))
    for model in models:
        print(f"{model}\n{_COLUMNS}")
        segmenter = segmenter_of(model)
        everyone: list[Score] = []
        holds = []
        for name, protocol, volume, truth in heads:
            try:
                segmented = segmenter(volume)
            except StudyRejected as error:
                print(f"{name:18} {error}")
                continue
            scores = compare(segmented.labels, truth, protocol)
            print("\n".join(lines(name, scores)), flush=True)
            if protocol is LabelProtocol.FREESURFER:
                everyone += scores
                holds.append(interval_holds(scores, segmented))
        print("\n".join(lines("mean, FreeSurfer", everyone)))
        print("volume error against FreeSurfer, and heads whose 90 % interval contains the volume of the labels")
        print("\n".join(bias(everyone, holds)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(p) for p in sys.argv[2:]])
