"""Models → how they compare with every set of labels at hand: experts' on template and Eve, FreeSurfer's on heads.

    python benchmarks/labels.py DATA MODEL [MODEL …]

DATA is the folder of real heads; a MODEL is a folder, or a file of label weights that is tried with the rest of the
release.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

from lnc_service.demo.sample import icbm152

from lnc_dicom.errors import StudyRejected
from lnc_dicom.segment.evaluate.metrics import Score, compare, mean_of_sides, read_nifti, read_pair
from lnc_dicom.segment.evaluate.protocols import Protocol
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.study.load import sample_labels

_FREESURFER = ("fstd-01", "fstd-02", "fstd-06", "fstd-08", "mrtrix3_sub-01")


def labelled(data: Path) -> Iterator[tuple[str, Protocol, hd.Volume, npt.NDArray[np.int64]]]:
    """Give every head with labels: name, protocol, image, labels on its grid."""
    array, lps_mm = icbm152()
    template = hd.Volume(array, lps_mm, coordinate_system="PATIENT")
    for protocol, file in (
        (Protocol.MAGE, "icbm152-2009a-sym-mage.nii.gz"),
        (Protocol.XIAO, "icbm152-2009b-asym-xiao.nii.gz"),
    ):
        theirs = read_nifti(data / "expert-labels" / file)
        truth = sample_labels(theirs.with_array(np.rint(theirs.array).astype(np.int32)), lps_mm, array.shape)
        yield f"template ({protocol})", protocol, template, truth.astype(np.int64)
    eve = data / "labelled-heads" / "eve_jhu_mni_ss"
    yield "Eve", Protocol.JHU, *read_pair(eve / "t1.nii.gz", eve / "labels.nii.gz", Protocol.JHU)
    for name in _FREESURFER:
        folder = data / "labelled-heads" / name
        yield name, Protocol.FREESURFER, *read_pair(folder / "t1.nii.gz", folder / "labels.nii.gz")
    folder = data / "labelled"
    yield "labelled", Protocol.FREESURFER, *read_pair(folder / "t1.nii.gz", folder / "aparc+aseg.nii.gz")


def segmenter_of(model: Path) -> NetworkSegmenter:
    """Load a model's folder, or the release with other label weights."""
    if model.is_dir():
        return load_segmenter(model)
    return replace(load_segmenter(), label=load_weights(model))


def lines(name: str, scores: list[Score]) -> Iterator[str]:
    """Lay out one head's means over sides."""
    for region, mean in mean_of_sides(scores).items():
        rows = [s for s in scores if s.name == region]
        offset = " ".join(f"{mm:+5.1f}" for mm in mean.offset_mm)
        ours, theirs = (
            " / ".join(f"{ml:6.2f}" for ml in side)
            for side in zip(*((s.volume_ml, s.true_ml) for s in rows), strict=True)
        )
        yield f"{name:18} {region:18} {mean.dice:.3f}  {mean.surface_mm:5.2f}  {offset}  {ours}  {theirs}"


def main(data: Path, models: list[Path]) -> None:
    heads = list(labelled(data))
    for model in models:
        print(
            f"{model}\n{'head':18} {'region':18} Dice   95 %, mm  lateral post. sup., mm  ours left / right, mL  theirs"
        )
        segmenter = segmenter_of(model)
        everyone: list[Score] = []
        for name, protocol, volume, truth in heads:
            try:
                found = segmenter(volume).labels
            except StudyRejected as error:
                print(f"{name:18} {error}")
                continue
            scores = compare(found, truth, protocol)
            print("\n".join(lines(name, scores)), flush=True)
            if protocol is Protocol.FREESURFER:
                everyone += scores
        print("\n".join(lines("mean, FreeSurfer", everyone)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(p) for p in sys.argv[2:]])
