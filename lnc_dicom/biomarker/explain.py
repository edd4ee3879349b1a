"""What an answer rests on: Grad-CAM per region, and its way back to the T1.

Grad-CAM (Selvaraju 2017, MONAI's) at the second stage of the ResNet, 6 mm apart, which passes the randomisation tests
that guided backpropagation fails (Adebayo 2018); `sanity` repeats them for every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
from highdicom import Volume
from torch import Tensor, nn

from lnc_dicom.biomarker.crops import SHAPE, cut_crops, grid_of, structures_of
from lnc_dicom.biomarker.inference import BiomarkerModel
from lnc_dicom.biomarker.network import BiomarkerNetwork

LAYER = "network.backbone.layer2"


class Answer(Enum):
    """What may be explained."""

    FA = "fa"
    CBF = "cbf"
    ROOTS = "roots"
    DISEASE = "disease"


class _OneAnswer(nn.Module):
    """Crops (s, 2, L, P, S) of one patient → the one number that is explained, (1, 1)."""

    def __init__(self, network: BiomarkerNetwork, answer: Answer, category: int | None, sign: float) -> None:
        super().__init__()
        self.network = network
        self._answer, self._category, self._sign = answer, category, sign

    def forward(self, crops: Tensor) -> Tensor:
        """Sum of what all regions say; for disease the logit of the category over the mean of the others."""
        outputs = self.network(crops[None])
        match self._answer:
            case Answer.FA:
                value = outputs.maps[..., 0].sum()
            case Answer.CBF:
                value = outputs.maps[..., 1].sum()
            case Answer.ROOTS:
                value = outputs.roots.sum()
            case Answer.DISEASE:
                logits = outputs.groups[0]
                value = logits[int(logits.argmax()) if self._category is None else self._category] - logits.mean()
        return torch.as_tensor(self._sign * value).reshape(1, 1)


def attribution(network: BiomarkerNetwork, crops: Tensor, answer: Answer, category: int | None = None) -> Tensor:
    """Grad-CAM of one patient's crops (s, 2, L, P, S): (s, L, P, S), not negative, in units of the answer.

    Of a category only what speaks for it; of a number what raises it and what lowers it, though Grad-CAM by itself
    drops what lowers.

    category
        The category that is explained; None: the likeliest.
    """
    from monai.visualize.class_activation_maps import GradCAM  # noqa: PLC0415 - only explanations need it

    seen = crops.contiguous(memory_format=torch.channels_last_3d)
    total = torch.zeros(len(crops), *crops.shape[2:])
    for sign in (1.0,) if answer is Answer.DISEASE else (1.0, -1.0):
        wrapped = _OneAnswer(network, answer, category, sign).eval()
        cam = GradCAM(wrapped, LAYER, postprocessing=lambda x: x, register_backward=True)
        with torch.enable_grad():
            found = cam(seen, class_idx=0)
        total += torch.relu(torch.as_tensor(found)[:, 0]).detach()
    return total


def explain(model: BiomarkerModel, volume: Volume, labels: Volume, answer: Answer) -> Volume:
    """Map the attribution of all regions back onto the T1: float32, 0 to 1, on the grid of `volume`."""
    crops = cut_crops(volume, labels, model.regions)
    maps = attribution(model.network, crops.nan_to_num(0.0), answer)
    found = np.zeros(volume.shape, np.float32)
    for i, structure in enumerate(structures_of(model.regions)):
        if not bool(torch.isnan(crops[i]).any()):
            place_back(found, volume, grid_of(labels, structure), maps[i].numpy())
    top = float(found.max())
    return volume.with_array(found / top if top > 0 else found)


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
