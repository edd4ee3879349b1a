"""What age and sex add to what a network sees: two linear heads, fitted last, while all else stays as it is.

The network first guesses age and sex from the image (ridge on its features); what is known beyond the guess then moves
its answers. Where neither is known, nothing moves: the answers are those of the image alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from torch import Tensor
from torch.nn import functional

from lnc_dicom.biomarker.network import MAX_RESIDUAL, BiomarkerNetwork, Outputs
from lnc_dicom.biomarker.train.targets import Targets

FEWEST = 30
"""People of known age and sex; of fewer nothing is learned."""
_PENALTIES = np.logspace(-2, 6, 17)
_PULLS = (0.0, 0.01, 0.1, 1.0, 10.0)
"""Weights of the pull of the moves towards those that the network had before."""
_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """What is learned from: an unexpected age and sex (n, 2), what the image says, and what should be said."""

    residual: Tensor
    maps: Tensor
    stems: Tensor
    groups: Tensor
    measured: Tensor
    maps_with_covariates: Tensor
    stems_with_covariates: Tensor
    chances_with_covariates: Tensor

    def chosen(self, rows: npt.NDArray[np.int64]) -> _People:
        """Choose some of them."""
        return _People(*(getattr(self, f.name)[rows] for f in fields(self)))


@torch.no_grad()
def learn_age_and_sex(network: BiomarkerNetwork, outputs: Outputs, targets: Targets) -> None:
    """Fit both heads to people whose age and sex are known, in place; what the network knew before is gone on from.

    outputs
        What the network says of the images of these people.
    """
    known = torch.isfinite(targets.demographics).all(dim=1)
    if int(known.sum()) < FEWEST:
        return
    device = network.demographics.weight.device
    features = network.shared(outputs.features[known].to(device), outputs.distance[known].to(device) > 0)
    beyond = (targets.demographics[known] - outputs.demographics[known]).numpy().astype(float)
    people = _People(
        _learn_guess(network, features.cpu().numpy().astype(float), beyond),
        outputs.maps[known].double(),
        outputs.stems[known].double(),
        outputs.groups[known].double(),
        torch.isfinite(targets.maps[known]),
        targets.maps_with_covariates[known].nan_to_num(0.0),
        targets.stems_with_covariates[known],
        targets.chances_with_covariates[known].double(),
    )
    network.residual_effect.weight.copy_(_moves(network, people))


def _learn_guess(
    network: BiomarkerNetwork, features: npt.NDArray[np.float64], beyond: npt.NDArray[np.float64]
) -> Tensor:
    """Improve the guess of age and sex; what is left for each person by a guess that has not seen him, (n, 2)."""
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    ridge = RidgeCV(_PENALTIES, alpha_per_target=True)
    left = beyond - cross_val_predict(ridge, features, beyond, cv=folds)
    ridge.fit(features, beyond)
    network.demographics.weight.add_(torch.from_numpy(ridge.coef_).to(network.demographics.weight))
    network.demographics.bias.add_(torch.from_numpy(ridge.intercept_).to(network.demographics.bias))
    return torch.from_numpy(left).clamp(-MAX_RESIDUAL, MAX_RESIDUAL)


def _moves(network: BiomarkerNetwork, people: _People) -> Tensor:
    """How far a residual should move the answers, with the pull that does best on people left out."""
    folds = list(KFold(_FOLDS, shuffle=True, random_state=0).split(people.residual))

    def lost(pull: float) -> float:
        return sum(
            float(_loss(network, _fitted(network, people.chosen(kept), pull), people.chosen(left))) * len(left)
            for kept, left in folds
        )

    return _fitted(network, people, min(_PULLS, key=lost))


def _fitted(network: BiomarkerNetwork, people: _People, pull: float) -> Tensor:
    """Weights of the moves that are best for some people; the problem is convex."""
    start = network.residual_effect.weight.detach().cpu().double()
    weight = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = _loss(network, weight, people) + pull * (weight - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimiser.step(step)  # type: ignore[no-untyped-call]
    return weight.detach()


def _loss(network: BiomarkerNetwork, weight: Tensor, people: _People) -> Tensor:
    """Squared error of FA, CBF and stems, and cross-entropy of the categories."""
    on_maps, on_stems, on_groups = network.split_moves(people.residual @ weight.T)
    wrong = (people.maps + on_maps - people.maps_with_covariates) * people.measured
    loss = wrong.square().sum() / people.measured.sum().clamp(min=1)
    loss = loss + (people.stems + on_stems - people.stems_with_covariates).square().mean()
    return loss + functional.cross_entropy(people.groups + on_groups, people.chances_with_covariates)
