"""The network: a 3D ResNet18 shared by all regions and sides, and heads for FA, CBF, stems and disease.

The ResNet is MONAI's (18 layers: four stages of two basic blocks), with a quarter of the usual number of channels so
that it trains on a CPU; it gives 512 deep features per region. Age and sex are optional covariates: the network
estimates both from the image, and only the residual (header minus estimate) changes its predictions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lnc_dicom.biomarker.resnet import ResNet18

FEATURES = 512
MAPS = ("fa", "cbf")
PRIVILEGED = 7
"""Privileged targets of every crop, known of simulated patients only (`train.privileged.PRIVILEGED`)."""
_FEATURE_SCALE = 0.125
"""Scale of the features before the heads; with 512 features of unit size the steps of the optimiser are too large."""
_DEMOGRAPHICS_SCALE = ((57.0, 12.0), (0.5, 0.5))
"""Mean and SD by which age in years and sex (1 for men) are standardised."""
MAX_RESIDUAL = 3.0
"""SD at which the residual of age or sex is clipped."""
_MAX_DEVIATION = 10.0
"""SD at which the deviation of one feature is clipped in the distance."""


@dataclass(frozen=True, slots=True)
class BiomarkerArchitecture:
    """Everything needed to build the network.

    regions
        Names, in the order of the crops.
    groups
        Number of disease categories.
    width
        Channels of the first stage; every later stage doubles them.
    """

    regions: tuple[str, ...]
    groups: int = 3
    width: int = 16
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs of the heads, in standardised units, for n patients with s = 2 * regions crops each.

    features
        (n, s, 512).
    maps, log_sd
        Expected FA and CBF (n, s, 2) and the logarithm of their SD.
    stems
        Expected number of stems left and right, (n, 2).
    groups
        Logits, (n, groups).
    demographics
        Age and sex as estimated from the image, standardised, (n, 2).
    privileged
        Privileged targets of every crop, (n, s, 7); learned from simulated patients, never part of a result.
    distance
        Distance of the features of a crop from those of the same region in the training patients, (n, s): root mean
        square in SD, about 1 among the training patients; 0 where the region is missing.
    """

    features: Tensor
    maps: Tensor
    log_sd: Tensor
    stems: Tensor
    groups: Tensor
    demographics: Tensor
    privileged: Tensor
    distance: Tensor


class BiomarkerNetwork(nn.Module):
    """Crops (n, 2 * regions, 2, L, P, S) of n patients → `Outputs`."""

    def __init__(self, architecture: BiomarkerArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        regions = len(architecture.regions)
        self.backbone = ResNet18(3, architecture.width, FEATURES)
        self.level = nn.BatchNorm1d(regions * FEATURES, affine=False)
        self.dropout = nn.Dropout(architecture.dropout)
        wide = 2 * regions * FEATURES
        self.maps = nn.Linear(wide, regions * 2 * len(MAPS))
        self.stems = nn.Linear(wide, 1)
        self.groups = nn.Linear(wide, architecture.groups)
        self.privileged = nn.Linear(FEATURES, PRIVILEGED)
        self.demographics = nn.Linear(regions * FEATURES, len(_DEMOGRAPHICS_SCALE))
        self.residual_effect = nn.Linear(
            len(_DEMOGRAPHICS_SCALE), regions * len(MAPS) + 1 + architecture.groups, bias=False
        )
        for head in (self.maps, self.stems, self.groups, self.privileged, self.demographics):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.zeros_(self.residual_effect.weight)

    def features(self, crops: Tensor) -> Tensor:
        """Deep features (n, s, 512) of crops (n, s, 2, L, P, S)."""
        return torch.relu(self.backbone(input_channels(crops)).float()).reshape(*crops.shape[:2], FEATURES)

    def forward(self, crops: Tensor, demographics: Tensor | None = None) -> Outputs:
        """Apply backbone and heads to n patients; `demographics` as for `heads`."""
        return self.heads(self.features(crops), has_region(crops), demographics)

    def heads(self, features: Tensor, found: Tensor | None = None, demographics: Tensor | None = None) -> Outputs:
        """Apply the heads to features (n, s, 512).

        The predictions of a side use all its regions and the mean of both sides, because the contrast of the scanner,
        age and disease affect every region.

        found
            (n, s), whether the region was found; features of a missing region are replaced by the mean of the
            training patients. None: all were found.
        demographics
            Age and sex from `standardised_demographics`, (n, 2); nan where unknown. None: all unknown.
        """
        regions = len(self.architecture.regions)
        relative = self.normalised(features, found)
        distance = relative.clamp(-_MAX_DEVIATION, _MAX_DEVIATION).square().mean(-1).sqrt()
        sides = self.dropout(_FEATURE_SCALE * relative).reshape(-1, 2, regions * FEATURES)
        both = sides.mean(1, keepdim=True)
        inputs = torch.cat([sides, both.expand_as(sides)], dim=2)
        mean, log_sd = self.maps(inputs).reshape(*features.shape[:2], 2 * len(MAPS)).chunk(2, dim=-1)
        asymmetry = (sides[:, 0] - sides[:, 1]).abs()
        groups = self.groups(torch.cat([both[:, 0], asymmetry], dim=1))
        privileged = self.privileged(sides.reshape(features.shape))
        estimate = self.demographics(both[:, 0])
        on_maps, on_stems, on_groups = self.residual_effects(estimate, demographics)
        return Outputs(
            features,
            mean + on_maps,
            log_sd.clamp(-3, 2),
            self.stems(inputs)[..., 0] + on_stems,
            groups + on_groups,
            estimate,
            privileged,
            distance,
        )

    def normalised(self, features: Tensor, found: Tensor | None) -> Tensor:
        """Standardise features (n, s, 512) per region by the training patients; missing regions become 0.

        Between regions features differ by far more than between people.
        """
        flat = features.reshape(-1, len(self.architecture.regions) * FEATURES)
        relative: Tensor = self.level(flat).reshape(features.shape)
        return relative if found is None else relative * found[..., None]

    def bilateral_features(self, features: Tensor, found: Tensor) -> Tensor:
        """Mean features of both sides, (n, regions * 512): the input of the estimate of age and sex in `heads`."""
        return _FEATURE_SCALE * self.normalised(features, found).reshape(len(features), 2, -1).mean(1)

    def residual_effects(self, estimate: Tensor, demographics: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Effect of the residual of age and sex on maps, stems and groups; 0 where age or sex is unknown."""
        if demographics is None:
            return self.split_effects(estimate.new_zeros(len(estimate), self.residual_effect.out_features))
        residual = (demographics - estimate).nan_to_num(0.0).clamp(-MAX_RESIDUAL, MAX_RESIDUAL)
        return self.split_effects(self.residual_effect(residual))

    def split_effects(self, effects: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split the output of `residual_effect` into maps (n, s, 2) and stems (n, 2), both sides equal, and groups."""
        regions = len(self.architecture.regions)
        maps, stems, groups = torch.split(effects, [regions * len(MAPS), 1, self.architecture.groups], dim=1)
        return maps.reshape(-1, regions, len(MAPS)).repeat(1, 2, 1), stems.repeat(1, 2), groups


def standardised_demographics(people: npt.ArrayLike) -> Tensor:
    """Standardise age in years and sex (1 for men), (n, 2), for the heads; nan stays nan."""
    mean, sd = np.array(_DEMOGRAPHICS_SCALE).T
    return torch.from_numpy((np.asarray(people, float).reshape(-1, len(mean)) - mean) / sd).float()


def input_channels(crops: Tensor) -> Tensor:
    """Input of the backbone, (n * s, 3, L, P, S), from crops (n, s, 2, L, P, S): T1, mask, and their product."""
    flat = crops.flatten(0, 1)
    inside = flat[:, :1] * flat[:, 1:]
    return torch.cat([flat, inside], dim=1).contiguous(memory_format=torch.channels_last_3d)


def has_region(crops: Tensor) -> Tensor:
    """Whether the mask of each crop (n, s, 2, L, P, S) holds a voxel, (n, s)."""
    return crops[:, :, 1].flatten(2).amax(2) > 0


def initialised_from(network: BiomarkerNetwork, architecture: BiomarkerArchitecture) -> BiomarkerNetwork:
    """Build a network of another architecture with all weights of a trained one that fit."""
    fresh = BiomarkerNetwork(architecture)
    known, wanted = network.state_dict(), fresh.state_dict()
    fresh.load_state_dict({n: known[n] if known[n].shape == t.shape else t for n, t in wanted.items()})
    return fresh


def save_network(path: Path, network: BiomarkerNetwork, about: Mapping[str, str]) -> None:
    """Write the weights as float16 safetensors, with the architecture in the header of the file."""
    state = network.state_dict()
    tensors = {n: (t.half() if t.is_floating_point() else t).contiguous().clone() for n, t in state.items()}
    save_file(tensors, path, {"architecture": json.dumps(asdict(network.architecture)), **about})


def load_network(path: Path) -> BiomarkerNetwork:
    """Build the network of a weights file, ready for inference in float32. Raises RuntimeError if tensors differ."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["architecture"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    network = BiomarkerNetwork(BiomarkerArchitecture(tuple(about.pop("regions")), **about))
    network.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()})
    return ready(network)


def ready(network: BiomarkerNetwork) -> BiomarkerNetwork:
    """Switch to evaluation mode and to the memory layout in which convolutions are fastest."""
    network.eval()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in torch's stubs
    return network
