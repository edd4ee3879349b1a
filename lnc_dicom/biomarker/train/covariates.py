"""Covariate heads (age and sex): two linear layers, fitted last with all other weights frozen.

The network first estimates age and sex from the image (ridge regression on its features); the residual, header minus
estimate, then changes its predictions linearly. Where age or sex is unknown, predictions are those of the image alone.
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
"""Patients of known age and sex; with fewer the heads stay as they are."""
_PENALTIES = np.logspace(-2, 6, 17)
_EFFECT_PENALTIES = (0.0, 0.01, 0.1, 1.0, 10.0)
"""Weights of the penalty on the change of the effects during this fit."""
_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Training data of the effects: residual of age and sex (n, 2), predictions of the image alone, and targets."""

    residual: Tensor
    maps: Tensor
    stems: Tensor
    groups: Tensor
    measured: Tensor
    target_maps: Tensor
    target_stems: Tensor
    target_probabilities: Tensor

    def subset(self, indices: npt.NDArray[np.int64]) -> _Samples:
        """Choose some of the patients."""
        return _Samples(*(getattr(self, f.name)[indices] for f in fields(self)))


@torch.no_grad()
def fit_covariate_heads(network: BiomarkerNetwork, outputs: Outputs, targets: Targets) -> None:
    """Fit both heads to the patients whose age and sex are known, in place, starting from their present weights.

    outputs
        Outputs of the network for the images of these patients.
    """
    known = torch.isfinite(targets.demographics).all(dim=1)
    if int(known.sum()) < FEWEST:
        return
    device = network.demographics.weight.device
    features = network.bilateral_features(outputs.features[known].to(device), outputs.distance[known].to(device) > 0)
    errors = (targets.demographics[known] - outputs.demographics[known]).numpy().astype(float)
    expected = targets.with_covariates
    samples = _Samples(
        _fit_estimate(network, features.cpu().numpy().astype(float), errors),
        outputs.maps[known].double(),
        outputs.stems[known].double(),
        outputs.groups[known].double(),
        torch.isfinite(targets.maps[known]),
        expected.maps[known].nan_to_num(0.0),
        expected.stems[known],
        expected.group_probabilities[known].double(),
    )
    network.residual_effect.weight.copy_(_effects(network, samples))


def _fit_estimate(
    network: BiomarkerNetwork, features: npt.NDArray[np.float64], errors: npt.NDArray[np.float64]
) -> Tensor:
    """Correct the estimate of age and sex by its errors (n, 2); returns the cross-validated residuals, (n, 2)."""
    folds = KFold(_FOLDS, shuffle=True, random_state=0)
    ridge = RidgeCV(_PENALTIES, alpha_per_target=True)
    residual = errors - cross_val_predict(ridge, features, errors, cv=folds)
    ridge.fit(features, errors)
    network.demographics.weight.add_(torch.from_numpy(ridge.coef_).to(network.demographics.weight))
    network.demographics.bias.add_(torch.from_numpy(ridge.intercept_).to(network.demographics.bias))
    return torch.from_numpy(residual).clamp(-MAX_RESIDUAL, MAX_RESIDUAL)


def _effects(network: BiomarkerNetwork, samples: _Samples) -> Tensor:
    """Effects of the residual on the predictions, with the penalty that does best in cross-validation."""
    folds = list(KFold(_FOLDS, shuffle=True, random_state=0).split(samples.residual))

    def held_out_loss(penalty: float) -> float:
        return sum(
            float(_loss(network, _fitted(network, samples.subset(train), penalty), samples.subset(test))) * len(test)
            for train, test in folds
        )

    return _fitted(network, samples, min(_EFFECT_PENALTIES, key=held_out_loss))


def _fitted(network: BiomarkerNetwork, samples: _Samples, penalty: float) -> Tensor:
    """Weights of the effects that minimise the loss of the samples; the problem is convex."""
    start = network.residual_effect.weight.detach().cpu().double()
    weight = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weight], max_iter=100, line_search_fn="strong_wolfe")

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = _loss(network, weight, samples) + penalty * (weight - start).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with torch.enable_grad():
        optimiser.step(step)  # type: ignore[no-untyped-call]
    return weight.detach()


def _loss(network: BiomarkerNetwork, weight: Tensor, samples: _Samples) -> Tensor:
    """Squared error of FA, CBF and stems, and cross-entropy of the categories."""
    on_maps, on_stems, on_groups = network.split_effects(samples.residual @ weight.T)
    error = (samples.maps + on_maps - samples.target_maps) * samples.measured
    loss = error.square().sum() / samples.measured.sum().clamp(min=1)
    loss = loss + (samples.stems + on_stems - samples.target_stems).square().mean()
    return loss + functional.cross_entropy(samples.groups + on_groups, samples.target_probabilities)
