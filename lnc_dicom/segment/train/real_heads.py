"""Real T1 + labels + seed → (image, target): an augmented real head.

Image and labels are moved, turned and deformed together; the contrast is changed along a random curve, the intensity of
each nucleus is varied, the skull sometimes removed; then artefacts are added as to synthetic images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from lnc_dicom.anatomy import DEEP_GREY, MIRRORED_LABELS, STRUCTURES
from lnc_dicom.errors import UnusableInput
from lnc_dicom.geometry.resampling import sample_at
from lnc_dicom.segment.evaluate.metrics import head_name, pairs
from lnc_dicom.segment.intensity import normalise
from lnc_dicom.segment.synthesis.artefacts import add_artefacts, cut_field_of_view
from lnc_dicom.segment.synthesis.config import SynthesisConfig
from lnc_dicom.segment.synthesis.deformation import deformed_grid
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule
from lnc_dicom.segment.synthesis.label_maps import ventricle_displacement
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.synthesis.synthesise import cut_out, fractions
from lnc_dicom.study.nifti import read_nifti

_REACH_MM = (95.0, 115.0, 90.0)
"""Half the size of the box that is kept around the deep grey matter, along L, P, S."""
_STRIPPED_CHANCE = 0.2
_NUCLEUS_SD = 0.03
"""SD of the relative change of the intensity of a nucleus."""


@dataclass(frozen=True, slots=True, eq=False)
class RealHead:
    """One real head with our labels on its grid, axes (L, P, S).

    image
        float16, 0 to about 1.
    codes
        uint8, labels of `anatomy.STRUCTURES`.
    brain
        Mask of the brain; None if it is unknown or the image shows nothing else.
    spacing_mm, centre, ventricle_displacement
        As in `LabelMap`.
    """

    name: str
    image: npt.NDArray[np.float16] = field(repr=False)
    codes: npt.NDArray[np.uint8] = field(repr=False)
    brain: npt.NDArray[np.bool_] | None = field(repr=False)
    spacing_mm: tuple[float, float, float]
    centre: tuple[float, float, float]
    ventricle_displacement: npt.NDArray[np.float32] = field(repr=False)


def load_real_heads(images: Path, labels: Path) -> list[RealHead]:
    """Read two folders of T1s and FreeSurfer label maps, matched by the order of their names."""
    return [load_real_head(image, label) for image, label in pairs(images, labels)]


def load_real_head(image: Path, labels: Path) -> RealHead:
    """Read one T1 and its FreeSurfer labels on the same grid; add the internal capsule if no label has it."""
    volume, truth = (read_nifti(p).to_patient_orientation("LPS") for p in (image, labels))
    if not volume.geometry_equal(truth, tol=1e-2):
        raise UnusableInput(f"{labels.name} is not on the grid of {image.name}")
    values = np.rint(truth.array).astype(np.int64)
    values = add_internal_capsule(values, truth.spacing)
    deep = np.isin(values, [s.freesurfer for s in DEEP_GREY])
    if not deep.any():
        raise UnusableInput(f"{labels.name} has no deep grey matter (FreeSurfer labels are expected)")
    centre = np.argwhere(deep).mean(axis=0)
    box = _around(centre, volume)
    values, pixels = values[box], np.asarray(volume.array[box], np.float32)
    top = float(np.percentile(pixels[values > 0], 99))
    codes = np.zeros(values.shape, np.uint8)
    for s in STRUCTURES:
        codes[values == s.freesurfer] = s.label
    middle = [float(c - b.start) for c, b in zip(centre, box, strict=True)]
    spacing_mm = (float(volume.spacing[0]), float(volume.spacing[1]), float(volume.spacing[2]))
    return RealHead(
        head_name(image),
        (pixels / max(top, 1e-6)).clip(0, 4).astype(np.float16),
        codes,
        _brain(values, pixels),
        spacing_mm,
        (middle[0], middle[1], middle[2]),
        ventricle_displacement(np.isin(values, (4, 43)), spacing_mm),
    )


def _around(centre: npt.NDArray[np.float64], volume: hd.Volume) -> tuple[slice, ...]:
    """Box of `_REACH_MM` around an index, within the volume."""
    reach = np.array(_REACH_MM) / volume.spacing
    low = np.maximum(centre - reach, 0).astype(int)
    high = np.minimum(centre + reach + 1, volume.shape).astype(int)
    return tuple(slice(a, b) for a, b in zip(low, high, strict=True))


def _brain(values: npt.NDArray[np.int64], pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_] | None:
    """All labels, dilated; None if only nuclei are labelled or the image shows nothing else."""
    labelled = ndimage.binary_dilation(values > 0, iterations=2)
    whole_brain = np.isin(values, (3, 42)).any() or (values >= 1000).mean() > 0.05  # noqa: PLR2004
    empty_outside = (pixels[~labelled] <= 0).mean() > 0.8  # noqa: PLR2004
    return labelled if whole_brain and not empty_outside else None


def augment(head: RealHead, config: SynthesisConfig, rng: Rng) -> tuple[Tensor, Tensor]:
    """Make one image and its target from a real head; shapes and meaning as in `synthesis.synthesise`."""
    mirrored = rng.chance(0.5)
    index = deformed_grid(head, config, rng, mirrored=mirrored)
    codes, near = cut_out(torch.from_numpy(head.codes), index)
    lookup = torch.tensor(MIRRORED_LABELS if mirrored else range(len(MIRRORED_LABELS)), dtype=torch.uint8)
    target = fractions(lookup[codes.long()], near, len(STRUCTURES) + 1)
    image = _cut_and_sample(head.image, index)
    if rng.chance(0.6):
        image = _vary_nuclei(image, target, rng)
    if head.brain is not None:
        image = _vary_background(image, _cut_and_sample(head.brain, index), rng)
    image = add_artefacts(bend_contrast(image, rng), config, rng)
    image, kept = cut_field_of_view(image, config.cut_chance, rng)
    target[1:] *= kept
    target[0] = torch.where(kept, target[0], 1)
    return normalise(image)[None], target


def _cut_and_sample(array: npt.NDArray[np.generic], index: Tensor) -> Tensor:
    """Sample an array (L, P, S) linearly at the index; 0 outside."""
    part, near = cut_out(torch.from_numpy(array), index)
    return sample_at(part.float()[None], near)[0]


def _vary_nuclei(image: Tensor, target: Tensor, rng: Rng) -> Tensor:
    """Change the intensity of every structure a little, the same on both sides."""
    change = (_NUCLEUS_SD * rng.normal(len(STRUCTURES) // 2)).repeat_interleave(2)
    return image * (1 + torch.einsum("c,clps->lps", change, target[1:].float()))


def _vary_background(image: Tensor, brain: Tensor, rng: Rng) -> Tensor:
    """Sometimes remove the skull, or make everything outside the brain brighter or darker."""
    if rng.chance(_STRIPPED_CHANCE):
        return image * (brain > 0.5)  # noqa: PLR2004 - more than half of the voxel
    if rng.chance(0.3):
        return image * (brain + (1 - brain) * rng.uniform(0.4, 2.0))
    return image


def bend_contrast(image: Tensor, rng: Rng) -> Tensor:
    """Map the intensities along a random curve that rises from 0 to 1; above 1 nothing changes."""
    if rng.chance(0.3):
        return image
    slow, quick = rng.uniform(-0.6, 0.6), rng.uniform(-0.3, 0.3)
    u = image.clamp(0, 1)
    bent = u + (slow * torch.sin(math.pi * u) + quick / 2 * torch.sin(2 * math.pi * u)) / math.pi
    return torch.where(image > 1, image, bent)


def find_heads(heads: Sequence[RealHead], names: Sequence[str]) -> list[RealHead]:
    """Heads with these names. Raises UnusableInput for an unknown name."""
    found = {head.name: head for head in heads}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise UnusableInput(f"no real head is called {', '.join(unknown)}; there are {', '.join(found)}")
    return [found[name] for name in names]
