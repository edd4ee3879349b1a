"""Sanity checks of saliency maps; a map that does not depend on what the model has learned fails them.

Randomisation of weights and of labels (Adebayo 2018), density of the attribution inside the territory of the LSA,
occlusion by region, deletion. A saliency map alone is no evidence.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage, stats
from torch import Tensor

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import without_margin
from lnc_dicom.biomarker.gradcam import attribution
from lnc_dicom.biomarker.network import BiomarkerNetwork, Outputs
from lnc_dicom.predictions import Target

MAX_CORRELATION = 0.5
"""Largest rank correlation with the map of a randomised network at which a check passes."""
REACH_VOXELS = 2
"""The territory is the region with a border of 3 mm, for the blur of the map and the adjacent capsule and claustrum."""
_STEPS = 60


@dataclass(frozen=True, slots=True)
class SaliencyCheck:
    """One check: its value, the rule for it, and whether it passed."""

    name: str
    target: Target
    value: float
    rule: str
    passed: bool


def check_explanations(
    network: BiomarkerNetwork, cohort: Cohort, targets: Sequence[Target], seed: int, progress: Callable[[str], None]
) -> list[SaliencyCheck]:
    """Run every check for every target on the patients of a cohort."""
    crops = without_margin(cohort.crops)
    random_network = _randomised(network, seed)
    checks = []
    for target in targets:
        progress(target.value)
        maps = torch.stack([attribution(network, one, target) for one in crops])
        others = torch.stack([attribution(random_network, one, target) for one in crops])
        checks += [_similarity("weights randomised", target, maps, others), _territory(target, maps, crops)]
        checks += [_occlusion(network, target, crops), _deletion(network, target, crops, maps, seed)]
        if target is Target.DISEASE:
            relearned = _relabelled(network, cohort, seed)
            shuffled = torch.stack([attribution(relearned, one, target) for one in crops])
            checks.append(_similarity("labels randomised", target, maps, shuffled))
    return checks


def _randomised(network: BiomarkerNetwork, seed: int) -> BiomarkerNetwork:
    """Copy the network with the weights of every tensor shuffled."""
    other = copy.deepcopy(network)
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in other.parameters():
            flat = weights.flatten()
            weights.copy_(flat[torch.randperm(len(flat), generator=rng)].reshape(weights.shape))
    return other


def _relabelled(network: BiomarkerNetwork, cohort: Cohort, seed: int) -> BiomarkerNetwork:
    """Copy the network with its disease head retrained on shuffled labels."""
    other = copy.deepcopy(network).eval()
    names = cohort.group_names
    labels = torch.from_numpy(np.random.default_rng(seed).permutation(cohort.groups(names)))
    with torch.inference_mode():
        features = torch.cat([other.features(without_margin(some)) for some in torch.split(cohort.crops, 8)])
    features = features.clone()  # outside of inference mode, so that gradients can flow
    torch.manual_seed(seed)
    other.groups = torch.nn.Linear(other.groups.in_features, len(names))
    optimiser = torch.optim.AdamW(other.groups.parameters(), lr=1e-3, weight_decay=0.01)
    for _ in range(_STEPS):
        loss = torch.nn.functional.cross_entropy(other.heads(features).groups, labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return other


def _similarity(name: str, target: Target, maps: Tensor, others: Tensor) -> SaliencyCheck:
    """Check the mean rank correlation between two sets of maps; constant maps are left out."""
    found = []
    for a, b in zip(maps.flatten(0, 1), others.flatten(0, 1), strict=True):
        if float(a.std()) > 0 and float(b.std()) > 0:
            found.append(stats.spearmanr(a[::2, ::2, ::2].flatten(), b[::2, ::2, ::2].flatten()).statistic)
    value = float(np.mean(found)) if found else 0.0
    return SaliencyCheck(name, target, value, f"rank correlation below {MAX_CORRELATION}", abs(value) < MAX_CORRELATION)


def _territory(target: Target, maps: Tensor, crops: Tensor) -> SaliencyCheck:
    """Check the density of the attribution inside the territory over its density outside."""
    inside = np.stack([_dilated(m) for m in crops[:, :, 1].flatten(0, 1).numpy()])
    values = maps.flatten(0, 1).numpy()
    ratio = float(values[inside].mean() / max(float(values[~inside].mean()), 1e-12))
    return SaliencyCheck("inside the territory", target, ratio, "denser inside than outside: above 1", ratio > 1)


def _dilated(mask: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask > 0.5, iterations=REACH_VOXELS))  # noqa: PLR2004


def _outputs(outputs: Outputs, target: Target) -> npt.NDArray[np.float64]:
    """One number per patient."""
    match target:
        case Target.FA | Target.CBF:
            values = outputs.maps[..., int(target is Target.CBF)].mean(1)
        case Target.STEMS:
            values = outputs.stems.mean(1)
        case Target.DISEASE:
            values = (outputs.groups - outputs.groups.mean(1, keepdim=True)).amax(1)
    return values.numpy().astype(np.float64)


@torch.inference_mode()
def _predict(network: BiomarkerNetwork, crops: Tensor, target: Target) -> npt.NDArray[np.float64]:
    return np.concatenate([_outputs(network(some), target) for some in torch.split(crops, 8)])


def _occlusion(network: BiomarkerNetwork, target: Target, crops: Tensor) -> SaliencyCheck:
    """Check that hiding the region changes the output more than hiding as many voxels elsewhere in the crop."""
    reference = _predict(network, crops, target)
    inside = torch.from_numpy(np.stack([_dilated(m) for m in crops[:, :, 1].flatten(0, 1).numpy()]))
    inside = inside.reshape(*crops.shape[:2], *crops.shape[3:])
    hidden, elsewhere = crops.clone(), crops.clone()
    hidden[:, :, 0] = torch.where(inside, crops[:, :, 0].mean(), crops[:, :, 0])
    far = inside.roll([s // 2 for s in crops.shape[3:]], [2, 3, 4]) & ~inside
    elsewhere[:, :, 0] = torch.where(far, crops[:, :, 0].mean(), crops[:, :, 0])
    changes = [np.abs(_predict(network, c, target) - reference).mean() for c in (hidden, elsewhere)]
    ratio = float(changes[0] / max(changes[1], 1e-12))
    return SaliencyCheck("occlusion by region", target, ratio, "more than elsewhere: above 1", ratio > 1)


def _deletion(network: BiomarkerNetwork, target: Target, crops: Tensor, maps: Tensor, seed: int) -> SaliencyCheck:
    """Check that hiding the tenth of the voxels with the most attribution changes more than a random tenth."""
    reference = _predict(network, crops, target)
    random = torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(random.flatten(0, 1)[:, None], 5, 1, 2).reshape(maps.shape)
    changes = []
    for ranking in (maps + 1e-9 * random, smooth):
        limit = ranking.flatten(2).quantile(0.9, dim=2)[..., None, None, None]
        changed = crops.clone()
        changed[:, :, 0] = torch.where(ranking > limit, crops[:, :, 0].mean(), crops[:, :, 0])
        changes.append(np.abs(_predict(network, changed, target) - reference).mean())
    ratio = float(changes[0] / max(changes[1], 1e-12))
    return SaliencyCheck("deletion", target, ratio, "more than at random: above 1", ratio > 1)
