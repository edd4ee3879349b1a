"""Grad-CAM of a target per region, mapped back onto the T1.

Grad-CAM (Selvaraju 2017; MONAI's, reimplemented because importing it takes 2.5 s) at the second stage of the ResNet,
whose grid is 6 mm. It passes the randomisation tests that guided backpropagation fails (Adebayo 2018);
`evaluation.saliency_checks` repeats them for every model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from highdicom import Volume
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.crops import SHAPE, SPACING_MM, cut_crops, grid_of, structures_of
from lnc_dicom.biomarker.network import BiomarkerNetwork, Outputs
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.geometry.resampling import Outside, sample
from lnc_dicom.predictions import Target

LAYER = "layer2"
"""Stage of the ResNet whose activations are weighted."""
_HALF_CROP_MM = SPACING_MM * float(np.linalg.norm(SHAPE)) / 2
"""From the centre of a crop to its corner: no crop reaches farther, whatever the orientation of the grid."""
_TINY = float(np.finfo(np.float32).tiny)


def attribution(network: BiomarkerNetwork, crops: Tensor, target: Target, category: int | None = None) -> Tensor:
    """Grad-CAM of one patient's crops (s, 2, L, P, S) for one target; see `attributions`."""
    return attributions(network, crops, (target,), category)[target]


def attributions(
    network: BiomarkerNetwork, crops: Tensor, targets: Sequence[Target], category: int | None = None
) -> dict[Target, Tensor]:
    """Grad-CAM of one patient's crops (s, 2, L, P, S) per target: (s, L, P, S), not negative, in units of the target.

    For a disease category only positive contributions count, as in Grad-CAM; for a number the absolute value, so that
    regions that lower it are shown as well. One forward pass serves all targets.

    category
        Index of the explained category; None: the most likely one.
    """
    inputs = crops.contiguous(memory_format=torch.channels_last_3d)
    kept: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]  # the graph begins here: earlier layers need no gradient

    hook = network.eval().backbone.get_submodule(LAYER).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            outputs = network(inputs[None])
            values = {target: _value(outputs, target, category) for target in targets}
            gradients = {t: torch.autograd.grad(value, kept[0], retain_graph=True)[0] for t, value in values.items()}
    finally:
        hook.remove()
    return {t: _weighted(kept[0].detach(), gradient, t, crops.shape[2:]) for t, gradient in gradients.items()}


def _value(outputs: Outputs, target: Target, category: int | None) -> Tensor:
    """Sum over all regions or sides; for the disease the logit of the category minus the mean logit."""
    match target:
        case Target.FA:
            return outputs.maps[..., 0].sum()
        case Target.CBF:
            return outputs.maps[..., 1].sum()
        case Target.STEMS:
            return outputs.stems.sum()
        case Target.DISEASE:
            logits = outputs.groups[0]
            return logits[int(logits.argmax()) if category is None else category] - logits.mean()


def _weighted(activations: Tensor, gradient: Tensor, target: Target, shape: Sequence[int]) -> Tensor:
    """Channels (s, c, l, p, s) weighted by their mean gradient, on the grid of the crops: (s, L, P, S)."""
    weighted = (gradient.mean((2, 3, 4), keepdim=True) * activations).sum(1, keepdim=True)
    positive = torch.relu(weighted) if target is Target.DISEASE else weighted.abs()
    return functional.interpolate(positive, tuple(shape), mode="trilinear", align_corners=False)[:, 0]


def explain_targets(
    model: BiomarkerModel, volume: Volume, labels: Volume, targets: Sequence[Target]
) -> dict[Target, Volume]:
    """Map the attributions back onto the T1: per target float32, 0 to 1, on the grid of `volume`."""
    box = _reach(labels)
    part, part_labels = volume[box], labels[box]  # type: ignore[index]  # highdicom annotates tuples of one only
    crops = cut_crops(part, part_labels, model.regions)
    places = {
        i: grid_of(part_labels, structure)
        for i, structure in enumerate(structures_of(model.regions))
        if not bool(torch.isnan(crops[i]).any())
    }
    explained = {}
    for target, maps in attributions(model.network, crops.nan_to_num(0.0), targets).items():
        found = np.zeros(part.shape, np.float32)
        for i, lps_mm in places.items():
            place_back(found, part, lps_mm, maps[i].numpy())
        whole = np.zeros(volume.shape, np.float32)
        whole[box] = found / max(float(found.max()), _TINY)
        explained[target] = volume.with_array(whole)
    return explained


def _reach(labels: Volume) -> tuple[slice, slice, slice]:
    """Part of the grid that holds every crop: the labels with a border of half the diagonal of a crop."""
    slices = []
    for axis, (count, spacing) in enumerate(zip(labels.shape, labels.spacing, strict=True)):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(labels.array.any(axis=others))
        border = int(np.ceil(_HALF_CROP_MM / spacing))
        low, high = (found[0], found[-1] + 1) if found.size else (0, count)
        slices.append(slice(max(int(low) - border, 0), min(int(high) + border, count)))
    return slices[0], slices[1], slices[2]


def place_back(
    image: npt.NDArray[np.float32],
    volume: Volume,
    crop_mm: npt.NDArray[np.float64],
    values: npt.NDArray[np.float32],
) -> None:
    """Resample the values of a crop onto the part of the volume's grid that it covers, in place; the larger value wins.

    image
        float32, on the grid of `volume`. crop_mm: affine of the crop, index → LPS millimetres.
    """
    to_index = volume.inverse_affine @ crop_mm
    corners = np.array([[i, j, k, 1] for i in (0, SHAPE[0]) for j in (0, SHAPE[1]) for k in (0, SHAPE[2])], float)
    reached = (to_index @ corners.T)[:3]
    low = np.maximum(np.floor(reached.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(reached.max(axis=1)).astype(int) + 1, volume.shape)
    if (high <= low).any():
        return
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    shift = np.eye(4)
    shift[:3, 3] = low
    from_box = np.linalg.inv(crop_mm) @ volume.affine @ shift
    i, j, k = (int(n) for n in high - low)
    sampled = sample(torch.from_numpy(values)[None], from_box, (i, j, k), Outside.ZERO)[0].numpy()
    image[box] = np.maximum(image[box], sampled)
