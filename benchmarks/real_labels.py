"""Real T1s → label maps for training: nuclei where FreeSurfer and the network find them, as large as experts draw them.

    python benchmarks/real_labels.py extent IMAGES FREESURFER OUT
    python benchmarks/real_labels.py warp IMAGES LABELS WARPED TARGET [TARGET …]
    python benchmarks/real_labels.py agree IMAGES LABELS WARPED WEIGHTS OUT

Folders hold NIfTI files named after their heads. `extent` moves the borders of FreeSurfer labels
(lnc_dicom/segment/train/extent.py). `warp` maps them to heads without labels by symmetric normalisation (pip install
antspyx; Avants et al., Med Image Anal 2008). `agree` averages both with the probabilities of a network
(lnc_dicom/segment/train/consensus.py) and writes one label map per head, for `lnc train segmentation --images IMAGES
--image-labels OUT`. On two cores: seconds, a minute per pair of heads, ten seconds per head.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.geometry.resampling import resample, resample_labels, sample
from lnc_dicom.segment.evaluate.metrics import head_name, read_nifti
from lnc_dicom.segment.load import load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.pose import centroids
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule
from lnc_dicom.segment.train.consensus import soft_labels, volume_weights, weighted_argmax
from lnc_dicom.segment.train.extent import to_expert_extent

SHAPE, SPACING_MM = (96, 112, 80), 1.25
"""Grid of the registration, around the nuclei; axes (L, P, S)."""
FREESURFER = np.array([0, *(s.freesurfer for s in STRUCTURES)])
WHITE_MATTER = 2


def upright(path: Path) -> hd.Volume:
    return read_nifti(path).to_patient_orientation("LPS")


def write(path: Path, array: npt.NDArray[np.generic], volume: hd.Volume) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine), path)


def ours(path: Path) -> npt.NDArray[np.uint8]:
    """Read a FreeSurfer label map as our labels, with the internal capsule added; axes (L, P, S)."""
    volume = upright(path)
    values = add_internal_capsule(np.rint(volume.array).astype(np.int64), volume.spacing)
    labels = np.zeros(values.shape, np.uint8)
    for s in STRUCTURES:
        labels[values == s.freesurfer] = s.label
    return labels


def extent(images: Path, freesurfer: Path, out: Path) -> None:
    for path in sorted(freesurfer.glob("*.nii.gz")):
        image, labels = upright(images / path.name), upright(path)
        drawn = to_expert_extent(np.rint(labels.array).astype(np.int64), image.array, labels.spacing)
        write(out / path.name, drawn.astype(np.int32), labels)


def warp(images: Path, labels: Path, warped: Path, targets: Sequence[str]) -> None:
    segmenter = load_segmenter()
    warped.mkdir(parents=True, exist_ok=True)
    for target in targets:
        fixed = upright(images / f"{target}.nii.gz")
        points = _points(segmenter, fixed)
        lps_mm = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
        lps_mm[:3, 3] = np.mean(list(points.values()), axis=0) + [0, 10, 4] - SPACING_MM * (np.array(SHAPE) - 1) / 2
        for path in sorted(labels.glob("*.nii.gz")):
            moving = upright(images / path.name)
            to_moving = _affine(points, _points(segmenter, moving))
            found = _register(fixed, moving, ours(path), lps_mm, to_moving)
            np.savez_compressed(warped / f"{target}__{head_name(path)}.npz", lps_mm=lps_mm, **found)
            print(target, head_name(path), flush=True)


def _points(segmenter: NetworkSegmenter, volume: hd.Volume) -> Mapping[int, npt.NDArray[np.float64]]:
    wanted = {s.label: np.zeros(3) for s in STRUCTURES if s.name != "lateral ventricle"}
    return centroids(segmenter(volume).labels.array.astype(np.int64), volume.affine, wanted)


def _affine(
    fixed: Mapping[int, npt.NDArray[np.float64]], moving: Mapping[int, npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Affine (4, 4) from the points of one head to those of another, by least squares."""
    shared = sorted(set(fixed) & set(moving))
    start = np.array([[*fixed[n], 1.0] for n in shared])
    matrix = np.eye(4)
    matrix[:3] = np.linalg.lstsq(start, np.array([moving[n] for n in shared]), rcond=None)[0].T
    return matrix


def _register(
    fixed: hd.Volume,
    moving: hd.Volume,
    labels: npt.NDArray[np.uint8],
    lps_mm: npt.NDArray[np.float64],
    to_moving: npt.NDArray[np.float64],
) -> dict[str, npt.NDArray[np.float16]]:
    """Warp one head and its labels to another; float16 `fixed`, `image` (L, P, S) and `shares` (structures, …)."""
    import ants  # noqa: PLC0415 - only here; not a dependency of the package

    grid = to_moving @ lps_mm
    pixels = [_scaled(resample(v, g, SHAPE).numpy()) for v, g in ((fixed, lps_mm), (moving, grid))]
    drawn = resample_labels(hd.Volume(labels, moving.affine, coordinate_system="PATIENT"), grid, SHAPE)
    one, other = (ants.from_numpy(p, spacing=(SPACING_MM,) * 3) for p in pixels)
    found = ants.registration(
        one, other, "SyN", reg_iterations=(40, 30, 12), grad_step=0.2, random_seed=1, singleprecision=True
    )
    parts = []
    for n in range(1, len(STRUCTURES) + 1):
        mask = ants.from_numpy((drawn == n).astype(np.float32), spacing=(SPACING_MM,) * 3)
        parts.append(ants.apply_transforms(one, mask, found["fwdtransforms"], interpolator="linear").numpy())
    image = found["warpedmovout"].numpy()
    return {
        name: a.astype(np.float16) for name, a in (("fixed", pixels[0]), ("image", image), ("shares", np.stack(parts)))
    }


def _scaled(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = np.percentile(pixels[pixels > 0], [2, 98])
    return np.clip((pixels - low) / (high - low), 0, 1.3).astype(np.float32)


def fused(warped: Path, target: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Vote of the warped labels (classes, L, P, S), weighted by the local correlation of the images; and its affine."""
    sums, weights = 0.0, 0.0
    for path in sorted(warped.glob(f"{target}__*.npz")):
        found = np.load(path)
        a, b = (found[name].astype(np.float32) for name in ("image", "fixed"))
        a, b = (x - ndimage.gaussian_filter(x, 2.0) for x in (a, b))
        covariance, *variances = (ndimage.gaussian_filter(x, 2.0) for x in (a * b, a * a, b * b))
        fit = np.clip(covariance / np.sqrt(variances[0] * variances[1] + 1e-6), 0.02, 1) ** 4
        sums, weights, lps_mm = sums + found["shares"] * fit, weights + fit, found["lps_mm"]
    vote = sums / weights
    return np.concatenate([1 - vote.sum(0, keepdims=True), vote]).astype(np.float32), lps_mm


def agree(images: Path, labels: Path, warped: Path, weights: Path, out: Path) -> None:
    segmenter = replace(load_segmenter(), label=load_weights(weights))
    known = []
    paths = sorted(images.glob("*.nii.gz"), key=lambda p: not (labels / p.name).exists())  # those with labels first
    for path in paths:
        volume = upright(path)
        probabilities = _on(*segmenter.probabilities(volume), volume)
        if (labels / path.name).exists():
            drawn = ours(labels / path.name)
            both = (probabilities + soft_labels(drawn, volume.spacing)) / 2
            known.append(volume_weights(both, _wanted(drawn, volume), volume.spacing))
            used = known[-1]
        else:
            both = (probabilities + _on(*fused(warped, head_name(path)), volume)) / 2
            used = {name: float(np.exp(np.mean([np.log(w[name]) for w in known]))) for name in known[0]}
        found = FREESURFER[weighted_argmax(both, used)]
        if (labels / path.name).exists():  # the rest of the brain keeps its labels: the skull can be taken off
            brain = np.rint(upright(labels / path.name).array).astype(np.int64)
            brain[np.isin(brain, FREESURFER[1:])] = WHITE_MATTER
            found = np.where(found > 0, found, brain)
        write(out / path.name, found.astype(np.int32), volume)


def _wanted(drawn: npt.NDArray[np.uint8], volume: hd.Volume) -> dict[str, float]:
    voxel_ml = float(np.prod(volume.spacing)) / 1000
    counts = np.bincount(drawn.ravel(), minlength=len(STRUCTURES) + 1) * voxel_ml
    names = dict.fromkeys(s.name for s in STRUCTURES)
    return {name: float(np.mean([counts[s.label] for s in STRUCTURES if s.name == name])) for name in names}


def _on(
    probabilities: npt.NDArray[np.float32], lps_mm: npt.NDArray[np.float64], volume: hd.Volume
) -> npt.NDArray[np.float32]:
    """Resample probabilities (classes, L, P, S) to the grid of a volume; background outside."""
    shape = (volume.shape[0], volume.shape[1], volume.shape[2])
    there = sample(torch.as_tensor(probabilities), np.linalg.inv(lps_mm) @ volume.affine, shape).numpy()
    there[0] += np.clip(1 - there.sum(0), 0, 1)
    return there


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "warp":
        warp(Path(rest[0]), Path(rest[1]), Path(rest[2]), rest[3:])
    else:
        {"extent": extent, "agree": agree}[what](*map(Path, rest))
