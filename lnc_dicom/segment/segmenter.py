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
from lnc_dicom.geometry.resampling import resample, sample
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import VolumeCalibration, pool_features
from lnc_dicom.segment.components import largest_component, largest_component_per_label
from lnc_dicom.segment.confidence import entropy_and_spread, likeliest, mirror_dice
from lnc_dicom.segment.intensity import normalise
from lnc_dicom.segment.network import UNet
from lnc_dicom.segment.pose import Constellation, Placement, centroids, fit
from lnc_dicom.segment.pose import upright as placed_upright
from lnc_dicom.types import Confidence, Segmented

LOCATE_SPACING_MM = 4.0
"""Voxels in which the first network sees the whole head."""
LABEL_SPACING_MM = 1.25
"""Voxels in which the second network sees the crop around the deep grey matter."""
CROP_SHAPE = (96, 112, 80)
"""Voxels (L, P, S) of the labelled crop: 120 x 140 x 100 mm holds the deep grey matter and the lateral ventricles of
all 20 training heads, enlarged ones included, with the head turned by 15°."""
CROP_OFFSET_MM = (0.0, 22.0, 0.0)
"""The ventricles reach further back than forward from the deep grey matter."""
MIN_DEEP_GREY_ML = 8.0
"""No whole head has less (smallest training head: 26 mL)."""
MIN_BRAIN_ML = 150.0
"""Images with less brain than this do not show a head."""
MIN_CUT_CM2 = 15.0
"""The edge of the images cuts the brain if it cuts this much (a plane through the basal ganglia: about 150 cm²;
whole heads: 0)."""
MAX_TURN_DEG = 6.0
MAX_SHIFT_MM = 6.0
"""A head that is turned or shifted by more is labelled again along its own axes; it takes a third longer."""
_SURELY_BACKGROUND = 0.99
_SLAB = 32
"""Source planes that are labelled at once: a bound on the memory for fine grids."""


@dataclass(frozen=True, slots=True)
class NetworkSegmenter:
    """The two networks as one function of a volume."""

    locate: UNet
    label: UNet
    calibration: VolumeCalibration
    model: Model
    device: str = "cpu"

    def __call__(self, volume: hd.Volume, /) -> Segmented:
        """Label a volume. Raises NoHead, FieldOfViewTooSmall."""
        return self.inspect(volume)[0]

    def inspect(self, volume: hd.Volume) -> tuple[Segmented, npt.NDArray[np.float64]]:
        """Label a volume; also return the features (2 x channels) that `feature_distance` is computed from."""
        as_stored = volume.to_patient_orientation("LPS")
        upright = _rounded(as_stored)
        view, placement, brain_is_cut = self._label_crop(upright)
        mirrored = self._mirrored(view.image)
        probabilities = (view.probabilities + mirrored) / 2  # no side is preferred
        array, kept, mean_probability = _on_source_grid(probabilities, view.lps_mm, upright)
        confidence = self._confidence(probabilities, mirror_dice(view.probabilities, mirrored), kept, mean_probability)
        labels = as_stored.with_array(array).match_geometry(volume)
        distance = self.calibration.feature_distance(view.features)
        pose = placement.pose if placement else None
        return Segmented(labels, confidence, pose, distance, brain_is_cut), view.features

    def probabilities(self, volume: hd.Volume) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """Probabilities (classes, L, P, S) of the labelled crop, and its affine (4, 4) from index to LPS mm.

        Raises NoHead, FieldOfViewTooSmall.
        """
        view, _, _ = self._label_crop(_rounded(volume.to_patient_orientation("LPS")))
        return ((view.probabilities + self._mirrored(view.image)) / 2).numpy(), view.lps_mm

    def _label_crop(self, upright: hd.Volume) -> tuple[_View, Placement | None, bool]:
        """Label the crop around the deep grey matter, twice if the head is turned; also whether the brain is cut."""
        centre_mm, brain_is_cut = self._find(upright)
        view = self._view(upright, placed_upright(centre_mm))
        canonical = self.calibration.constellation_mm
        placement = fit(view.centroids(canonical), canonical)
        if placement is not None and _is_off(placement, centre_mm):
            view = self._view(upright, placement)  # second pass, along the axes of the head
        return view, placement, brain_is_cut

    def _view(self, upright: hd.Volume, placement: Placement) -> _View:
        """Run the second network on the crop that a placement defines."""
        lps_mm = placement.grid(CROP_OFFSET_MM, LABEL_SPACING_MM, CROP_SHAPE)
        image = normalise(resample(upright, lps_mm, CROP_SHAPE))
        probabilities, features = self._run(self.label, image)
        return _View(lps_mm, image, probabilities, features)

    def _mirrored(self, image: Tensor) -> Tensor:
        """Probabilities of the mirrored image, mirrored back."""
        return self._run(self.label, image.flip(0))[0][list(MIRRORED_LABELS)].flip(1)

    def _confidence(
        self,
        probabilities: Tensor,
        agreement: dict[int, float],
        kept: dict[int, float],
        mean_probability: dict[int, float],
    ) -> dict[int, Confidence]:
        """Confidence of every structure that has a voxel on the source grid."""
        entropy, spread = entropy_and_spread(probabilities)
        confidence = {}
        for s in STRUCTURES:
            if s.label in kept:
                per_spread = self.calibration.volume_error.get(s.name)
                error = None if per_spread is None else per_spread * spread[s.label]
                confidence[s.label] = Confidence(
                    mean_probability[s.label],
                    entropy.get(s.label, 0.0),
                    agreement.get(s.label, 0.0),
                    kept[s.label],
                    spread[s.label],
                    error,
                )
        return confidence

    def _find(self, upright: hd.Volume) -> tuple[npt.NDArray[np.float64], bool]:
        """Centre of the deep grey matter in LPS millimetres, and whether the edge of the images cuts the brain."""
        spacing_mm = LOCATE_SPACING_MM
        lps_mm, shape = _covering_grid(upright, spacing_mm, self.locate.architecture.multiple)
        probabilities, _ = self._run(self.locate, normalise(resample(upright, lps_mm, shape)))
        deep = largest_component(probabilities[1].numpy() > 0.5)  # noqa: PLR2004 - more likely than not
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
    def _run(self, network: UNet, image: Tensor) -> tuple[Tensor, npt.NDArray[np.float64]]:
        """Probabilities (classes, *shape) of a normalised image, float32 on the CPU; features of the bottleneck."""
        x = image[None, None].to(self.device, memory_format=torch.channels_last_3d)
        kind = self.device.split(":")[0]
        with torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu" or _has_fast_bfloat16()):
            logits, bottleneck = network.with_bottleneck(x)
        return torch.softmax(logits[0].float().contiguous(), dim=0).cpu(), pool_features(bottleneck)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One crop: its grid (index to LPS millimetres), its image and the output of the network."""

    lps_mm: npt.NDArray[np.float64]
    image: Tensor
    probabilities: Tensor
    features: npt.NDArray[np.float64]

    def centroids(self, wanted: Constellation) -> Constellation:
        """Centroids of the wanted labels in LPS millimetres."""
        return centroids(likeliest(self.probabilities).numpy(), self.lps_mm, wanted)


def _is_off(placement: Placement, centre_mm: npt.NDArray[np.float64]) -> bool:
    """Whether a second pass pays: the head is turned, or its middle is not where the first network put it."""
    shift_mm = float(np.linalg.norm(placement.origin_mm - centre_mm))
    return placement.pose.turn_deg > MAX_TURN_DEG or shift_mm > MAX_SHIFT_MM


def _has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; elsewhere float32 is faster."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - there is no public function


def _rounded(volume: hd.Volume) -> hd.Volume:
    """Round the geometry, finely, so that a head stored along other axes is sampled at exactly the same points."""
    affine = np.append(np.round(volume.affine[:, :3], 7), np.round(volume.affine[:, 3:], 5), axis=1)
    return hd.Volume(np.ascontiguousarray(volume.array), affine, coordinate_system="PATIENT")


def _extent(affine: npt.NDArray[np.floating], first_last: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Lowest and highest point (2, 3) of a box, given by its first and last index (2, 3), mapped by an affine."""
    corners = np.array(np.meshgrid(*np.transpose(first_last))).reshape(3, -1)
    points = (affine[:3, :3] @ corners).T + affine[:3, 3]
    return np.array([points.min(0), points.max(0)])


def _covering_grid(
    volume: hd.Volume, spacing_mm: float, multiple: int
) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Upright grid that covers the whole volume: its affine (LPS millimetres) and shape."""
    low, high = _extent(volume.affine, [(0, 0, 0), [n - 1 for n in volume.shape]])
    x, y, z = (int(np.ceil(extent / spacing_mm / multiple) * multiple) for extent in high - low + spacing_mm)
    return placed_upright((low + high) / 2).grid((0.0, 0.0, 0.0), spacing_mm, (x, y, z)), (x, y, z)


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
) -> tuple[npt.NDArray[np.uint8], dict[int, float], dict[int, float]]:
    """Bring probabilities to the source's voxels, take the likeliest label, keep the largest component of each.

    Returns the labels; by label, the share of its voxels that were kept; and their mean probability.
    """
    box, labels, best = _likeliest_on(np.linalg.inv(lps_mm) @ upright.affine, probabilities, upright.shape)
    before = np.bincount(labels.ravel(), minlength=len(STRUCTURES) + 1)
    labels = largest_component_per_label(labels)
    after = np.bincount(labels.ravel(), minlength=len(before))
    sums = np.bincount(labels.ravel(), best.ravel(), len(before))
    found = [s.label for s in STRUCTURES if after[s.label]]
    whole = np.zeros(upright.shape, np.uint8)
    whole[box] = labels
    return whole, {n: float(after[n] / before[n]) for n in found}, {n: float(sums[n] / after[n]) for n in found}


def _likeliest_on(
    to_crop: npt.NDArray[np.float64], probabilities: Tensor, source: tuple[int, ...]
) -> tuple[tuple[slice, ...], npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Likeliest label and its probability in the part of the source (first returned) where any may be found.

    Every class is sampled only where it can be the likeliest, which takes a fifth of the time.
    """
    could_win = 1 / (len(probabilities) + 1)  # the likeliest of n has at least 1 / n
    shown = [probabilities[0] < _SURELY_BACKGROUND, *(p > could_win for p in probabilities[1:])]
    boxes = {n: _box(to_crop, _box_of(mask), source) for n, mask in enumerate(shown) if n == 0 or mask.any()}
    origin, end = boxes[0]
    labels, best = (np.zeros(end - origin, kind) for kind in (np.uint8, np.float32))
    for label, (low, high) in boxes.items():
        for start in range(low[0], high[0], _SLAB):
            corner = np.array([start, low[1], low[2]])
            size = np.array([min(_SLAB, high[0] - start), high[1] - low[1], high[2] - low[2]])
            shift = np.eye(4)
            shift[:3, 3] = corner
            share = sample(probabilities[label : label + 1], to_crop @ shift, tuple(size))[0].numpy()
            slab = tuple(slice(c, c + n) for c, n in zip(corner - origin, size, strict=True))
            np.copyto(labels[slab], label, where=share > best[slab])
            np.maximum(best[slab], share, out=best[slab])
    return tuple(slice(a, b) for a, b in zip(origin, end, strict=True)), labels, best


def _box_of(mask: Tensor) -> npt.NDArray[np.int64]:
    """First and last index (2, 3) of what is in a mask, with a border; one voxel in the middle of an empty one."""
    limit = np.array(mask.shape)
    if not mask.any():
        return np.array([limit // 2, limit // 2])
    box = ndimage.find_objects(mask.numpy().astype(np.uint8))[0]
    low, high = np.array([b.start for b in box]) - 1, np.array([b.stop for b in box])
    return np.array([np.maximum(low, 0), np.minimum(high, limit - 1)])


def _box(
    to_crop: npt.NDArray[np.float64], crop: npt.NDArray[np.int64], source: tuple[int, ...]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Part of the source (low, high) that a box of the crop (first and last index) can touch."""
    first, last = _extent(np.linalg.inv(to_crop), crop)
    low = np.clip(np.floor(first).astype(int), 0, source)
    high = np.clip(np.ceil(last).astype(int) + 1, 0, source)
    return low, high
