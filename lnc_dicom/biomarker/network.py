"""The network: a 3D ResNet18 shared by all regions and sides, and heads for FA, CBF, stems and disease.

The ResNet is the one of MONAI (18 layers: four stages of two basic blocks), with a quarter of the usual number of
channels so that it trains on a CPU, and 512 deep features per region before the heads. The heads may be told age and
sex: the network guesses both from the image, and only what the header tells beyond the guess moves its answers.
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
"""What simulated people teach of every crop besides (`privileged_targets.PRIVILEGED`)."""
_QUIET = 0.125
"""Scale of the features before the heads: 512 of size 1 make every step of the optimiser a large one."""
_PERSON = ((57.0, 12.0), (0.5, 0.5))
"""Mean and SD, by which age in years and sex (1 for men) are standardised."""
MAX_RESIDUAL = 3.0
"""SD beyond which an unexpected age moves the answers no farther."""
_FARTHEST = 10.0
"""SD beyond which one feature no longer adds to the distance."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """All that is needed to build the network whole.

    regions
        Names, in the order of the crops.
    groups
        How many disease categories there are.
    width
        Channels of the first stage; each later one doubles them.
    """

    regions: tuple[str, ...]
    groups: int = 3
    width: int = 16
    dropout: float = 0.2


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the heads say, in standardised units, for n patients, s = 2 * regions crops.

    features
        (n, s, 512).
    maps, log_sd
        Expected FA and CBF (n, s, 2) and the logarithm of their SD.
    stems
        Expected number of stems left and right, (n, 2).
    groups
        Logits, (n, groups).
    demographics
        Age and sex as the image shows them, standardised, (n, 2).
    privileged
        Of every crop (n, s, 7); only simulated people teach them, and no result is made of them.
    distance
        (n, s), how far the features of a crop lie from those of the same region in the people that were learned
        from: root mean square in SD, about 1 among those people; 0 where there is no region.
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

    def __init__(self, architecture: Architecture) -> None:
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
        self.demographics = nn.Linear(regions * FEATURES, len(_PERSON))
        self.residual_effect = nn.Linear(len(_PERSON), regions * len(MAPS) + 1 + architecture.groups, bias=False)
        for head in (self.maps, self.stems, self.groups, self.privileged, self.demographics):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        nn.init.zeros_(self.residual_effect.weight)

    def features(self, crops: Tensor) -> Tensor:
        """Deep features (n, s, 512) of crops (n, s, 2, L, P, S)."""
        flat = crops.flatten(0, 1)
        inside = flat[:, :1] * flat[:, 1:]
        seen = torch.cat([flat, inside], dim=1).contiguous(memory_format=torch.channels_last_3d)
        return torch.relu(self.backbone(seen).float()).reshape(*crops.shape[:2], FEATURES)

    def forward(self, crops: Tensor, person: Tensor | None = None) -> Outputs:
        """Everything the network says of n patients; `person` as `heads` takes it."""
        return self.heads(self.features(crops), has_region(crops), person)

    def heads(self, features: Tensor, found: Tensor | None = None, person: Tensor | None = None) -> Outputs:
        """Apply the heads to features (n, s, 512).

        What is said of a side rests on all its regions and on the mean of both sides: a scanner's contrast, age and
        disease show everywhere.

        found
            (n, s), where a region is; the others count as those of the mean of all people. None: everywhere.
        person
            Age and sex from `standardised`, (n, 2); nan where unknown. None: unknown of everybody.
        """
        regions = len(self.architecture.regions)
        known = self.relative(features, found)
        distance = known.clamp(-_FARTHEST, _FARTHEST).square().mean(-1).sqrt()
        sides = self.dropout(_QUIET * known).reshape(-1, 2, regions * FEATURES)
        both = sides.mean(1, keepdim=True)
        seen = torch.cat([sides, both.expand_as(sides)], dim=2)
        mean, log_sd = self.maps(seen).reshape(*features.shape[:2], 2 * len(MAPS)).chunk(2, dim=-1)
        apart = (sides[:, 0] - sides[:, 1]).abs()
        groups = self.groups(torch.cat([both[:, 0], apart], dim=1))
        privileged = self.privileged(sides.reshape(features.shape))
        guess = self.demographics(both[:, 0])
        on_maps, on_stems, on_groups = self.moves(guess, person)
        return Outputs(
            features,
            mean + on_maps,
            log_sd.clamp(-3, 2),
            self.stems(seen)[..., 0] + on_stems,
            groups + on_groups,
            guess,
            privileged,
            distance,
        )

    def relative(self, features: Tensor, found: Tensor | None) -> Tensor:
        """Take features (n, s, 512) relative to those of the same region in other people.

        Those differ far less than those of different regions.
        """
        level: Tensor = self.level(features.reshape(-1, len(self.architecture.regions) * FEATURES)).reshape(
            features.shape
        )
        return level if found is None else level * found[..., None]

    def shared(self, features: Tensor, found: Tensor) -> Tensor:
        """Give what the guess of age and sex rests on: features of both sides, (n, regions * 512), as in `heads`."""
        return _QUIET * self.relative(features, found).reshape(len(features), 2, -1).mean(1)

    def moves(self, guess: Tensor, person: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """How far age and sex move maps, stems and groups: not at all where they are unknown."""
        if person is None:
            return self.split_moves(guess.new_zeros(len(guess), self.residual_effect.out_features))
        residual = (person - guess).nan_to_num(0.0).clamp(-MAX_RESIDUAL, MAX_RESIDUAL)
        return self.split_moves(self.residual_effect(residual))

    def split_moves(self, moved: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Take what `residual` gives apart: for maps (n, s, 2), the same on both sides, stems (n, 2) and groups."""
        regions = len(self.architecture.regions)
        maps, stems, groups = torch.split(moved, [regions * len(MAPS), 1, self.architecture.groups], dim=1)
        return maps.reshape(-1, regions, len(MAPS)).repeat(1, 2, 1), stems.repeat(1, 2), groups


def standardised(people: npt.ArrayLike) -> Tensor:
    """Age in years and sex, 1 for men, (n, 2), as the heads take them; nan stays."""
    mean, sd = np.array(_PERSON).T
    return torch.from_numpy((np.asarray(people, float).reshape(-1, len(mean)) - mean) / sd).float()


def has_region(crops: Tensor) -> Tensor:
    """Which crops (n, s, 2, L, P, S) hold their region at all, (n, s)."""
    return crops[:, :, 1].flatten(2).amax(2) > 0


def initialised_from(network: BiomarkerNetwork, architecture: Architecture) -> BiomarkerNetwork:
    """Build a network for other regions or categories that begins with everything that fits of a trained one."""
    fresh = BiomarkerNetwork(architecture)
    known, wanted = network.state_dict(), fresh.state_dict()
    fresh.load_state_dict({n: known[n] if known[n].shape == t.shape else t for n, t in wanted.items()})
    return fresh


def save_network(path: Path, network: BiomarkerNetwork, about: Mapping[str, str]) -> None:
    """Write weights as float16 safetensors with their architecture in the header."""
    state = network.state_dict()
    tensors = {n: (t.half() if t.is_floating_point() else t).contiguous().clone() for n, t in state.items()}
    save_file(tensors, path, {"architecture": json.dumps(asdict(network.architecture)), **about})


def load_network(path: Path) -> BiomarkerNetwork:
    """Build the network that a weights file describes, ready for inference in float32."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["architecture"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    network = BiomarkerNetwork(Architecture(tuple(about.pop("regions")), **about))
    network.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()})
    return ready(network)


def ready(network: BiomarkerNetwork) -> BiomarkerNetwork:
    """Set for inference, in the memory layout in which convolutions are fastest."""
    network.eval()
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # not in torch's stubs
    return network
