"""Volume → labels on the same grid: find the deep grey matter in the whole head, then label a crop around it."""

from __future__ import annotations

from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch import Tensor

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead
from lnc_dicom.segment.intensity import normalise
from lnc_dicom.segment.network import UNet
from lnc_dicom.segment.stages import LABEL, LOCATE
from lnc_dicom.types import Model, Segmented
from lnc_dicom.volume import resample, sample

CROP_SHAPE = (96, 112, 80)
"""Voxels (L, P, S) of the labelled crop: 120 x 140 x 100 mm holds the deep grey matter and the lateral ventricles of
all 20 training heads, enlarged ones included, with the head turned by 15°."""
CROP_OFFSET_MM = (0.0, 22.0, 0.0)
"""The ventricles reach further back than forward from the deep grey matter."""
MIN_DEEP_GREY_ML = 8.0
"""Less was never seen in a whole head (smallest training head: 26 mL)."""
MIN_BRAIN_ML = 150.0
"""With less brain than this in the images they do not show a head."""
MIN_CUT_CM2 = 15.0
"""The edge of the images cuts the brain if it cuts this much (a plane through the basal ganglia: about 150 cm²;
whole heads: 0)."""
_SLAB = 32
"""Source planes that are labelled at once; bounds the memory for fine grids."""


@dataclass(frozen=True, slots=True)
class NetworkSegmenter:
    """The two networks as one function of a volume."""

    locate: UNet
    label: UNet
    model: Model
    device: str = "cpu"

    def __call__(self, volume: hd.Volume, /) -> Segmented:
        """Label a volume. Raises NoHead, FieldOfViewTooSmall."""
        upright = volume.to_patient_orientation("LPS")
        centre, brain_is_cut = self._find(upright)
        lps_mm = _grid(centre + CROP_OFFSET_MM, LABEL.recipe.spacing_mm, CROP_SHAPE)
        image = normalise(resample(upright, lps_mm, CROP_SHAPE))
        mirrored = self._probabilities(self.label, image.flip(0))[list(MIRRORED_LABELS)].flip(1)
        probabilities = (self._probabilities(self.label, image) + mirrored) / 2  # no side is preferred
        array, mean_probability = _on_source_grid(probabilities, lps_mm, upright)
        labels = upright.with_array(_largest_pieces(array)).match_geometry(volume)
        return Segmented(labels, mean_probability, brain_is_cut)

    def _find(self, upright: hd.Volume) -> tuple[npt.NDArray[np.float64], bool]:
        """Centre of the deep grey matter in LPS millimetres, and whether the edge of the images cuts the brain."""
        spacing_mm = LOCATE.recipe.spacing_mm
        lps_mm, shape = _covering_grid(upright, spacing_mm, self.locate.architecture.multiple)
        probabilities = self._probabilities(self.locate, normalise(resample(upright, lps_mm, shape)))
        deep = _largest_piece(probabilities[1].numpy() > 0.5)  # noqa: PLR2004 - more likely than not
        voxel_ml = spacing_mm**3 / 1000
        deep_ml = float(deep.sum()) * voxel_ml
        brain = probabilities[1:].sum(0).numpy() > 0.5  # noqa: PLR2004
        cut_cm2 = _cut_surface_cm2(brain, lps_mm, upright)
        is_cut = cut_cm2 > MIN_CUT_CM2
        if deep_ml < MIN_DEEP_GREY_ML:
            brain_ml = float(brain.sum()) * voxel_ml
            found = f"{deep_ml:.0f} mL of deep grey matter and {brain_ml:.0f} mL of brain found"
            if brain_ml > MIN_BRAIN_ML and is_cut:
                raise FieldOfViewTooSmall(f"{found}; the edge of the images cuts {cut_cm2:.0f} cm² of brain")
            raise NoHead(found)
        centre = np.append(np.argwhere(deep).mean(axis=0), 1.0)
        return np.asarray((lps_mm @ centre)[:3]), is_cut

    @torch.inference_mode()
    def _probabilities(self, network: UNet, image: Tensor) -> Tensor:
        """Probabilities (classes, *shape) of a normalised image, in float32 on the CPU."""
        x = image[None, None].to(self.device, memory_format=torch.channels_last_3d)
        kind = self.device.split(":")[0]
        with torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or _has_fast_bfloat16()):
            logits = network(x)
        return torch.softmax(logits[0].float(), dim=0).cpu()


def _has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - no public question exists


def _grid(centre_mm: npt.NDArray[np.float64], spacing_mm: float, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Affine of an upright grid: axes (L, P, S), its middle at the centre."""
    lps_mm = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    lps_mm[:3, 3] = centre_mm - (np.array(shape) - 1) / 2 * spacing_mm
    return lps_mm


def _covering_grid(
    volume: hd.Volume, spacing_mm: float, multiple: int
) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Upright grid that covers a volume whole."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.shape])).reshape(3, -1)
    points = (volume.affine[:3, :3] @ corners).T + volume.affine[:3, 3]
    low, high = points.min(0), points.max(0)
    shape = tuple(int(np.ceil(extent / spacing_mm / multiple) * multiple) for extent in high - low + spacing_mm)
    return _grid((low + high) / 2, spacing_mm, shape), (shape[0], shape[1], shape[2])


def _cut_surface_cm2(brain: npt.NDArray[np.bool_], lps_mm: npt.NDArray[np.float64], volume: hd.Volume) -> float:
    """Area of a mask on a coarse upright grid that lies within one of its voxels of the volume's outermost planes."""
    spacing_mm = float(lps_mm[0, 0])
    index = np.argwhere(brain) @ lps_mm[:3, :3].T + lps_mm[:3, 3]
    back = volume.inverse_affine
    index = index @ back[:3, :3].T + back[:3, 3]
    depth_mm = np.minimum(index, np.array(volume.shape) - 1 - index) * volume.spacing
    return float((depth_mm.min(axis=1) <= spacing_mm).sum()) * spacing_mm**2 / 100


def _on_source_grid(
    probabilities: Tensor, lps_mm: npt.NDArray[np.float64], upright: hd.Volume
) -> tuple[npt.NDArray[np.uint8], dict[int, float]]:
    """Bring probabilities to the source's voxels and take the likeliest label; with its mean probability."""
    labels = np.zeros(upright.shape, np.uint8)
    to_crop = np.linalg.inv(lps_mm) @ upright.affine
    low, high = _box(to_crop, probabilities.shape[1:], upright.shape)
    sums, counts = np.zeros(len(STRUCTURES) + 1), np.zeros(len(STRUCTURES) + 1)
    for start in range(low[0], high[0], _SLAB):
        corner = np.array([start, low[1], low[2]])
        size = np.array([min(_SLAB, high[0] - start), high[1] - low[1], high[2] - low[2]])
        shift = np.eye(4)
        shift[:3, 3] = corner
        best, label = sample(probabilities, to_crop @ shift, tuple(size)).max(dim=0)
        label_array = label.numpy().astype(np.uint8)
        labels[start : start + size[0], low[1] : high[1], low[2] : high[2]] = label_array
        sums += np.bincount(label_array.ravel(), best.numpy().ravel(), len(sums))
        counts += np.bincount(label_array.ravel(), minlength=len(sums))
    return labels, {s.label: float(sums[s.label] / counts[s.label]) for s in STRUCTURES if counts[s.label]}


def _box(
    to_crop: npt.NDArray[np.float64], crop: tuple[int, ...], source: tuple[int, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Part of the source (low, high) that the crop can touch."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in crop])).reshape(3, -1)
    back = np.linalg.inv(to_crop)
    points = (back[:3, :3] @ corners).T + back[:3, 3]
    low = np.clip(np.floor(points.min(0)).astype(int), 0, source)
    high = np.clip(np.ceil(points.max(0)).astype(int) + 1, 0, source)
    return low, high


def _largest_pieces(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Keep the largest face-connected piece of every structure."""
    kept = np.zeros_like(labels)
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            kept[box][_largest_piece(labels[box] == label)] = label
    return kept


def _largest_piece(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if count <= 1:
        return mask
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == sizes.argmax() + 1)
