"""Is an explanation worth looking at? Tests that a map of a model without knowledge, or of no place, must fail.

Randomisation of weights and of labels (Adebayo 2018), share of the attribution inside the territory of the LSA,
occlusion by region, deletion. A picture of saliency alone is no evidence.
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
from lnc_dicom.biomarker.gradcam import attribution
from lnc_dicom.biomarker.network import BiomarkerNetwork, Outputs
from lnc_dicom.biomarker.train.augment import inner
from lnc_dicom.predictions import Target

MOST_LIKE_RANDOM = 0.5
"""Rank correlation above which a map is the same with and without knowledge."""
REACH_VOXELS = 2
"""The territory is the region with a border of 3 mm: blur of the map, and the capsule and claustrum beside it."""
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """One test: its number, what it has to be, and whether it passed."""

    name: str
    answer: Target
    value: float
    rule: str
    passed: bool


def check_explanations(
    network: BiomarkerNetwork, cohort: Cohort, answers: Sequence[Target], seed: int, progress: Callable[[str], None]
) -> list[Verdict]:
    """Run every test for every answer on the patients of a cohort."""
    crops = inner(cohort.crops)
    random_network = _randomised(network, seed)
    verdicts = []
    for answer in answers:
        progress(answer.value)
        maps = torch.stack([attribution(network, one, answer) for one in crops])
        others = torch.stack([attribution(random_network, one, answer) for one in crops])
        verdicts += [_likeness("weights randomised", answer, maps, others), _territory(answer, maps, crops)]
        verdicts += [_occlusion(network, answer, crops), _deletion(network, answer, crops, maps, seed)]
        if answer is Target.DISEASE:
            relearned = _relabelled(network, cohort, seed)
            shuffled = torch.stack([attribution(relearned, one, answer) for one in crops])
            verdicts.append(_likeness("labels randomised", answer, maps, shuffled))
    return verdicts


def _randomised(network: BiomarkerNetwork, seed: int) -> BiomarkerNetwork:
    """Shuffle every weight of a copy within its tensor: same sizes, no knowledge."""
    other = copy.deepcopy(network)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in other.parameters():
            flat = weights.flatten()
            weights.copy_(flat[torch.randperm(len(flat), generator=chance)].reshape(weights.shape))
    return other


def _relabelled(network: BiomarkerNetwork, cohort: Cohort, seed: int) -> BiomarkerNetwork:
    """Learn the head of the categories again, from labels that were dealt out by chance."""
    other = copy.deepcopy(network).eval()
    names = cohort.group_names
    labels = torch.from_numpy(np.random.default_rng(seed).permutation(cohort.groups(names)))
    with torch.inference_mode():
        features = torch.cat([other.features(inner(some)) for some in torch.split(cohort.crops, 8)]).clone()
    features = features.clone()
    torch.manual_seed(seed)
    other.groups = torch.nn.Linear(other.groups.in_features, len(names))
    optimiser = torch.optim.AdamW(other.groups.parameters(), lr=1e-3, weight_decay=0.01)
    for _ in range(_STEPS):
        loss = torch.nn.functional.cross_entropy(other.heads(features).groups, labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return other


def _likeness(name: str, answer: Target, maps: Tensor, others: Tensor) -> Verdict:
    """Mean rank correlation between two sets of maps; a flat map is like nothing."""
    found = []
    for a, b in zip(maps.flatten(0, 1), others.flatten(0, 1), strict=True):
        if float(a.std()) > 0 and float(b.std()) > 0:
            found.append(stats.spearmanr(a[::2, ::2, ::2].flatten(), b[::2, ::2, ::2].flatten()).statistic)
    value = float(np.mean(found)) if found else 0.0
    return Verdict(name, answer, value, f"rank correlation below {MOST_LIKE_RANDOM}", abs(value) < MOST_LIKE_RANDOM)


def _territory(answer: Target, maps: Tensor, crops: Tensor) -> Verdict:
    """Density of the attribution inside the region and its border over its density outside."""
    inside = np.stack([_grown(m) for m in crops[:, :, 1].flatten(0, 1).numpy()])
    values = maps.flatten(0, 1).numpy()
    ratio = float(values[inside].mean() / max(float(values[~inside].mean()), 1e-12))
    return Verdict("inside the territory", answer, ratio, "denser inside than outside: above 1", ratio > 1)


def _grown(mask: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(mask > 0.5, iterations=REACH_VOXELS))  # noqa: PLR2004


def _answers(outputs: Outputs, answer: Target) -> npt.NDArray[np.float64]:
    """One number per patient."""
    match answer:
        case Target.FA | Target.CBF:
            values = outputs.maps[..., int(answer is Target.CBF)].mean(1)
        case Target.STEMS:
            values = outputs.stems.mean(1)
        case Target.DISEASE:
            values = (outputs.groups - outputs.groups.mean(1, keepdim=True)).amax(1)
    return values.numpy().astype(np.float64)


@torch.inference_mode()
def _say(network: BiomarkerNetwork, crops: Tensor, answer: Target) -> npt.NDArray[np.float64]:
    return np.concatenate([_answers(network(some), answer) for some in torch.split(crops, 8)])


def _occlusion(network: BiomarkerNetwork, answer: Target, crops: Tensor) -> Verdict:
    """Hide the region, or as many voxels in the corner of the crop: the region has to matter more."""
    plain = _say(network, crops, answer)
    inside = torch.from_numpy(np.stack([_grown(m) for m in crops[:, :, 1].flatten(0, 1).numpy()]))
    inside = inside.reshape(*crops.shape[:2], *crops.shape[3:])
    hidden, elsewhere = crops.clone(), crops.clone()
    hidden[:, :, 0] = torch.where(inside, crops[:, :, 0].mean(), crops[:, :, 0])
    far = inside.roll([s // 2 for s in crops.shape[3:]], [2, 3, 4]) & ~inside
    elsewhere[:, :, 0] = torch.where(far, crops[:, :, 0].mean(), crops[:, :, 0])
    moved = [np.abs(_say(network, c, answer) - plain).mean() for c in (hidden, elsewhere)]
    ratio = float(moved[0] / max(moved[1], 1e-12))
    return Verdict("occlusion by region", answer, ratio, "more than elsewhere: above 1", ratio > 1)


def _deletion(network: BiomarkerNetwork, answer: Target, crops: Tensor, maps: Tensor, seed: int) -> Verdict:
    """Hide the tenth of the voxels with the most attribution, or a tenth by chance: the first has to matter more."""
    plain = _say(network, crops, answer)
    chance = torch.rand(maps.shape, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(chance.flatten(0, 1)[:, None], 5, 1, 2).reshape(maps.shape)
    moved = []
    for ranking in (maps + 1e-9 * chance, smooth):
        limit = ranking.flatten(2).quantile(0.9, dim=2)[..., None, None, None]
        changed = crops.clone()
        changed[:, :, 0] = torch.where(ranking > limit, crops[:, :, 0].mean(), crops[:, :, 0])
        moved.append(np.abs(_say(network, changed, answer) - plain).mean())
    ratio = float(moved[0] / max(moved[1], 1e-12))
    return Verdict("deletion", answer, ratio, "more than by chance: above 1", ratio > 1)
