"""What must be refused: phantoms, noise, other contrasts, another body part, cut heads, headers that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
from scipy import ndimage

from lnc_dicom.segment.evaluate.metrics import read_pair
from lnc_dicom.segment.evaluate.perturbations import contrast
from lnc_dicom.segment.evaluate.robustness import describe
from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import Series
from tests.factories import phantom

UNSEEN = "left and right exchanged, header unchanged"
"""The one wrong header that no gate can see: a mirrored head looks like a head."""


def volume(array: np.ndarray, lps_mm: np.ndarray) -> hd.Volume:
    return hd.Volume(np.ascontiguousarray(array, np.float32), lps_mm, coordinate_system="PATIENT")


def no_t1_heads(data: Path) -> Iterator[tuple[str, hd.Volume]]:
    """Phantoms, noise, other contrasts, another body part, a cut head, and headers that are wrong."""
    yield "bottle", volume(*phantom())
    chance = np.random.default_rng(0)
    yield "noise", volume(np.abs(chance.normal(size=(128, 128, 128))), np.diag([1.6, 1.6, 1.6, 1.0]))
    yield "blobs as large as a head", volume(_blobs(chance), np.diag([1.6, 1.6, 1.6, 1.0]))
    head = describe(*read_pair(data / "labelled" / "t1.nii.gz", data / "labelled" / "aparc+aseg.nii.gz"))
    body = ndimage.binary_fill_holes(ndimage.gaussian_filter(head.array, 2) > 0.2 * head.grey)
    yield (
        "T2-like (T1 inverted inside the head)",
        head.with_array(np.clip(1.3 * head.white - head.array, 0, None) * body),
    )
    yield "FLAIR-like (grey above white, dark fluid)", contrast(head, grey=1.25, fluid=0.15)[0]
    yield "b0 of the DTI (real T2, EPI)", load(_b0(data / "philips-ingenia-3t" / "dti"))[0]
    prisma = load(select(read_study([data / "siemens-prisma-3t"])).chosen)[0].to_patient_orientation("LPS")
    low = round(0.3 * prisma.shape[2])
    yield "neck (lowest 30 % of a head)", volume(prisma.array[:, :, :low], prisma.affine)
    middle = round(float(np.argwhere(head.ventricles)[:, 2].mean()))
    yield "basal ganglia cut off from below", _from(head.volume, middle + 4, None)
    yield "basal ganglia cut through", _from(head.volume, middle - 14, None)
    for axis, name in enumerate(("left and right", "front and back", "top and bottom")):
        yield f"{name} exchanged, header unchanged", volume(np.flip(prisma.array, axis), prisma.affine)
    yield "axes exchanged, header unchanged", volume(prisma.array.transpose(0, 2, 1), prisma.affine)
    yield "voxels said to be 1.5 times as large", volume(prisma.array, prisma.affine @ np.diag([1.5, 1.5, 1.5, 1.0]))


def _blobs(chance: np.random.Generator) -> np.ndarray:
    noise = ndimage.gaussian_filter(chance.normal(size=(128, 128, 128)), 4)
    grid = np.indices(noise.shape) - 64
    return np.clip(1 + 8 * noise, 0, 2) * ((grid**2).sum(0) < 50**2)


def _from(head: hd.Volume, low: int, high: int | None) -> hd.Volume:
    lps_mm = head.affine.copy()
    lps_mm[:3, 3] += low * lps_mm[:3, 2]
    return volume(head.array[:, :, low:high], lps_mm)


def _b0(folder: Path) -> Series:
    """Choose the slices without diffusion weighting, one per place."""
    (series,) = read_study([folder]).series
    found = {}
    for instance in series.instances:
        if float(instance.header.get("DiffusionBValue", -1)) == 0:
            found.setdefault(tuple(instance.header.ImagePositionPatient), instance)
    return Series(series.uid, tuple(found.values()))
