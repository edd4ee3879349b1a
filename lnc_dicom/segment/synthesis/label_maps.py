"""Whole-head label maps on disk → arrays that images are synthesised from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from scipy import ndimage

from lnc_dicom.anatomy import DEEP_GREY, INTERNAL_CAPSULE_FREESURFER, MIRRORED_LABELS, STRUCTURES
from lnc_dicom.errors import UnusableInput
from lnc_dicom.geometry.resampling import sample
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule

_FIRST_OUTSIDE_BRAIN = 500
"""Labels from here on lie outside the brain; FreeSurfer does not use them (a convention of the SynthSeg label maps)."""
_CSF = 24
WHITE_MATTER = (2, 41)
_VENTRICLES = (4, 43)
DISPLACEMENT_SPACING_MM = 3.0
_DISPLACEMENT_SIGMA_MM = 5.0


@dataclass(frozen=True, slots=True)
class LabelMap:
    """One head.

    codes
        uint8, axes (L, P, S): an index into `Palette.labels` for every voxel.
    spacing_mm
        Along L, P, S.
    centre
        Centroid of the deep grey matter, as an index (L, P, S).
    ventricle_displacement
        float32 (3, L, P, S) on a grid of `DISPLACEMENT_SPACING_MM`, first voxel on the first voxel of `codes`:
        unit-free vectors towards the lateral ventricles, longest (length 1) at their walls. An image that is sampled
        at points displaced by them has wider ventricles.
    """

    name: str
    codes: npt.NDArray[np.uint8] = field(repr=False)
    spacing_mm: tuple[float, float, float]
    centre: tuple[float, float, float]
    ventricle_displacement: npt.NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Palette:
    """What each label looks like on a T1, and which class it is for the network.

    labels
        FreeSurfer labels in the order of the codes.
    tissue
        Row of the intensity priors, per code.
    means, sds
        (2, tissues): mean and SD over subjects of a tissue's intensity mean; the same of its SD.
    """

    labels: npt.NDArray[np.int64]
    tissue: npt.NDArray[np.int64]
    means: npt.NDArray[np.float64]
    sds: npt.NDArray[np.float64]

    def code(self, label: int) -> int:
        """Code of a FreeSurfer label."""
        return int(np.flatnonzero(self.labels == label)[0])

    def codes(self, labels: Sequence[int]) -> list[int]:
        """Codes of several FreeSurfer labels."""
        return [self.code(label) for label in labels]

    @property
    def outside_brain(self) -> npt.NDArray[np.bool_]:
        """Per code: neither brain nor fluid within it."""
        return np.asarray(
            (self.labels == 0)
            | ((self.labels >= _FIRST_OUTSIDE_BRAIN) & (self.labels < INTERNAL_CAPSULE_FREESURFER[0]))
        )

    @property
    def csf(self) -> npt.NDArray[np.bool_]:
        """Per code: fluid around the brain."""
        return np.asarray(self.labels == _CSF)

    def structures(self, *, mirrored: bool) -> npt.NDArray[np.int64]:
        """Per code: the label of our structure, 0 elsewhere; sides exchanged for a mirrored head."""
        target = np.zeros(len(self.labels), np.int64)
        for s in STRUCTURES:
            target[self.code(s.freesurfer)] = MIRRORED_LABELS[s.label] if mirrored else s.label
        return target

    def regions(self) -> npt.NDArray[np.int64]:
        """Per code: 1 deep grey matter of either side, 2 other brain, 0 elsewhere."""
        target = np.where(self.outside_brain | self.csf, 0, 2).astype(np.int64)
        target[[self.code(s.freesurfer) for s in DEEP_GREY]] = 1
        return target


def load_palette(folder: Path) -> Palette:
    """Read the T1 priors in the folder of the label maps. Raises UnusableInput if a file is missing."""
    names = ("generation_labels", "generation_classes_contrast_specific", "prior_means_t1", "prior_stds_t1")
    missing = [f"{name}.npy" for name in names if not (folder / f"{name}.npy").is_file()]
    if missing:
        raise UnusableInput(f"the folder of label maps lacks {', '.join(missing)}")
    labels, tissue, means, sds = (np.load(folder / f"{name}.npy") for name in names)
    white = tissue[np.isin(labels, WHITE_MATTER)][:1].repeat(2)  # the capsule is white matter
    labels = np.concatenate([labels, INTERNAL_CAPSULE_FREESURFER])
    return Palette(labels.astype(np.int64), np.concatenate([tissue, white]).astype(np.int64), means, sds)


def load_label_map(path: Path, palette: Palette) -> LabelMap:
    """Read one label map (NIfTI, FreeSurfer labels), add the internal capsule, turn it to axes (L, P, S).

    Raises UnusableInput if it has no deep grey matter.
    """
    image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
    spacing_mm = image.GetSpacing()
    values = np.rint(sitk.GetArrayFromImage(image).transpose()).astype(np.int64)
    deep = np.isin(values, [s.freesurfer for s in DEEP_GREY])
    if not deep.any():
        raise UnusableInput(f"{path.name} has no deep grey matter; FreeSurfer labels are expected")
    values = add_internal_capsule(values, spacing_mm)
    lookup = np.zeros(max(int(values.max()), int(palette.labels.max())) + 1, np.uint8)
    lookup[palette.labels] = np.arange(len(palette.labels))
    codes = np.ascontiguousarray(lookup[values])
    centre = tuple(float(c) for c in np.argwhere(deep).mean(axis=0))
    displacement = ventricle_displacement(np.isin(values, _VENTRICLES), spacing_mm)
    return LabelMap(path.name.split(".")[0], codes, spacing_mm, (centre[0], centre[1], centre[2]), displacement)


def ventricle_displacement(
    ventricles: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """Vectors towards the ventricles (3, L, P, S) on a grid of `DISPLACEMENT_SPACING_MM`; the longest has length 1."""
    zoom = [s / DISPLACEMENT_SPACING_MM for s in spacing_mm]
    i, j, k = (int((n - 1) * z) + 1 for n, z in zip(ventricles.shape, zoom, strict=True))
    mask = torch.from_numpy(ventricles.astype(np.float32))
    coarse = sample(mask[None], np.diag([*(1 / z for z in zoom), 1.0]), (i, j, k))[0].numpy()
    coarse = ndimage.gaussian_filter(coarse, _DISPLACEMENT_SIGMA_MM / DISPLACEMENT_SPACING_MM)
    gradient = np.stack(np.gradient(coarse)).astype(np.float32)
    longest = float(np.sqrt((gradient**2).sum(0).max()))
    return np.asarray(gradient / max(longest, 1e-6), np.float32)


def load_label_maps(folder: Path, palette: Palette) -> list[LabelMap]:
    """Read every NIfTI file of a folder, in the order of their names. Raises UnusableInput if there is none."""
    paths = sorted(folder.glob("*.nii*"))
    if not paths:
        raise UnusableInput("there is no NIfTI label map (*.nii, *.nii.gz) in the folder")
    return [load_label_map(path, palette) for path in paths]
