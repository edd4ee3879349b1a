"""What an answer rests on: Grad-CAM per region, and its way back to the T1.

Grad-CAM (Selvaraju 2017; MONAI's, written out, for its import costs 2.5 s) at the second stage of the ResNet, 6 mm
apart, which passes the randomisation tests that guided backpropagation fails (Adebayo 2018); `sanity` repeats them for
every model.
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
from lnc_dicom.predictions import Target

LAYER = "layer2"
"""Stage of the ResNet whose activations are weighed."""
_HALF_CROP_MM = SPACING_MM * float(np.linalg.norm(SHAPE)) / 2
"""From the middle of a crop to its corner: no crop reaches farther, however the grid lies."""
_TINY = float(np.finfo(np.float32).tiny)


def attribution(network: BiomarkerNetwork, crops: Tensor, answer: Target, category: int | None = None) -> Tensor:
    """Grad-CAM of one patient's crops (s, 2, L, P, S) for one answer; see `attributions`."""
    return attributions(network, crops, (answer,), category)[answer]


def attributions(
    network: BiomarkerNetwork, crops: Tensor, answers: Sequence[Target], category: int | None = None
) -> dict[Target, Tensor]:
    """Grad-CAM of one patient's crops (s, 2, L, P, S) per answer: (s, L, P, S), not negative, in units of the answer.

    Of a category only what speaks for it; of a number what raises it and what lowers it, though Grad-CAM by itself
    drops what lowers. The network looks once, whatever the number of answers.

    category
        The category that is explained; None: the likeliest.
    """
    seen = crops.contiguous(memory_format=torch.channels_last_3d)
    kept: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Tensor) -> Tensor:
        kept.append(output.detach().requires_grad_())
        return kept[-1]  # the graph begins here: what lies before needs no gradient

    hook = network.eval().backbone.get_submodule(LAYER).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            outputs = network(seen[None])
            values = {answer: _value(outputs, answer, category) for answer in answers}
            slopes = {a: torch.autograd.grad(value, kept[0], retain_graph=True)[0] for a, value in values.items()}
    finally:
        hook.remove()
    return {answer: _weighed(kept[0].detach(), slope, answer, crops.shape[2:]) for answer, slope in slopes.items()}


def _value(outputs: Outputs, answer: Target, category: int | None) -> Tensor:
    """Sum of what all regions say; for disease the logit of the category over the mean of the others."""
    match answer:
        case Target.FA:
            return outputs.maps[..., 0].sum()
        case Target.CBF:
            return outputs.maps[..., 1].sum()
        case Target.STEMS:
            return outputs.stems.sum()
        case Target.DISEASE:
            logits = outputs.groups[0]
            return logits[int(logits.argmax()) if category is None else category] - logits.mean()


def _weighed(seen: Tensor, slope: Tensor, answer: Target, shape: Sequence[int]) -> Tensor:
    """Channels (s, c, l, p, s) weighed by their mean slope, on the grid of the crops: (s, L, P, S)."""
    weighed = (slope.mean((2, 3, 4), keepdim=True) * seen).sum(1, keepdim=True)
    positive = torch.relu(weighed) if answer is Target.DISEASE else weighed.abs()
    return functional.interpolate(positive, tuple(shape), mode="trilinear", align_corners=False)[:, 0]


def explain(model: BiomarkerModel, volume: Volume, labels: Volume, answer: Target) -> Volume:
    """Map the attribution of all regions back onto the T1: float32, 0 to 1, on the grid of `volume`."""
    return explain_answers(model, volume, labels, (answer,))[answer]


def explain_answers(
    model: BiomarkerModel, volume: Volume, labels: Volume, answers: Sequence[Target]
) -> dict[Target, Volume]:
    """Map the attributions of several answers back onto the T1: float32, 0 to 1, on the grid of `volume`."""
    box = _reach(labels)
    part, marks = volume[box], labels[box]  # type: ignore[index]  # highdicom's annotation knows tuples of one
    crops = cut_crops(part, marks, model.regions)
    places = {
        i: grid_of(marks, structure)
        for i, structure in enumerate(structures_of(model.regions))
        if not bool(torch.isnan(crops[i]).any())
    }
    explained = {}
    for answer, maps in attributions(model.network, crops.nan_to_num(0.0), answers).items():
        found = np.zeros(part.shape, np.float32)
        for i, lps_mm in places.items():
            place_back(found, part, lps_mm, maps[i].numpy())
        whole = np.zeros(volume.shape, np.float32)
        whole[box] = found / max(float(found.max()), _TINY)
        explained[answer] = volume.with_array(whole)
    return explained


def _reach(labels: Volume) -> tuple[slice, slice, slice]:
    """Part of the grid that holds every crop: the labels with a border as wide as half a crop."""
    slices = []
    for axis, (count, spacing) in enumerate(zip(labels.shape, labels.spacing, strict=True)):
        others = tuple(a for a in range(3) if a != axis)
        found = np.flatnonzero(labels.array.any(axis=others))
        border = int(np.ceil(_HALF_CROP_MM / spacing))
        low, high = (found[0], found[-1] + 1) if found.size else (0, count)
        slices.append(slice(max(int(low) - border, 0), min(int(high) + border, count)))
    return slices[0], slices[1], slices[2]


def place_back(
    target: npt.NDArray[np.float32],
    volume: Volume,
    crop_mm: npt.NDArray[np.float64],
    values: npt.NDArray[np.float32],
) -> None:
    """Sample a crop (index → LPS mm) on the part of the volume's grid that it covers; the larger value stays."""
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
    sampled = _sample(values, from_box, (high - low).tolist())
    target[box] = np.maximum(target[box], sampled)


def _sample(
    values: npt.NDArray[np.float32], index: npt.NDArray[np.float64], shape: Sequence[int]
) -> npt.NDArray[np.float32]:
    from scipy import ndimage  # noqa: PLC0415 - only explanations need it

    found = ndimage.affine_transform(values, index[:3, :3], index[:3, 3], output_shape=tuple(shape), order=1)
    return np.asarray(found, np.float32)
