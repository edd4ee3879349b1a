"""T1 + labels + age and sex → `BiomarkerResult`: predicted FA, CBF, stems and disease categories."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from highdicom import Volume

from lnc_dicom.anatomy import Side
from lnc_dicom.biomarker.calibration import BiomarkerCalibration
from lnc_dicom.biomarker.crops import cut_crops, structures_of
from lnc_dicom.biomarker.network import BiomarkerNetwork, Outputs, standardised_demographics
from lnc_dicom.predictions import BiomarkerResult, Demographics, Model, RegionPrediction, StemPrediction


@dataclass(frozen=True, slots=True, eq=False)
class BiomarkerModel:
    """A trained network with its calibration and its names.

    calibration, without_covariates
        For patients whose age and sex are both known, and for the others.
    groups
        Names of the disease categories.
    demonstration
        Trained on simulated patients: no clinical meaning.
    """

    network: BiomarkerNetwork = field(repr=False)
    calibration: BiomarkerCalibration
    without_covariates: BiomarkerCalibration
    groups: tuple[str, ...]
    model: Model
    demonstration: bool

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions, in the order of the crops."""
        return self.network.architecture.regions

    @torch.inference_mode()
    def __call__(self, volume: Volume, labels: Volume, person: Demographics) -> BiomarkerResult:
        """Predict from a T1, the labels of the structures that passed their gates, and age and sex if both are known.

        A missing region has no prediction, its hemisphere no number of stems, and the patient no disease category.
        """
        crops = cut_crops(volume, labels, self.regions)
        found = ~torch.isnan(crops).flatten(1).any(1)
        demographics = standardised_demographics((person.age, person.male)) if person.is_known else None
        outputs = self.network(crops.nan_to_num(0.0)[None], demographics)
        calibration = self.calibration if person.is_known else self.without_covariates
        return BiomarkerResult(
            model=self.model,
            demonstration=self.demonstration,
            age_and_sex_known=person.is_known,
            regions=self._regions(outputs, found, calibration),
            stems=_stems(outputs, found, calibration),
            distance=float(outputs.distance.max()),
            farthest=calibration.farthest,
            disease=self._disease(outputs, found, calibration),
            features={
                s: outputs.features[0, i].numpy() for i, s in enumerate(structures_of(self.regions)) if bool(found[i])
            },
        )

    def _regions(
        self, outputs: Outputs, found: torch.Tensor, calibration: BiomarkerCalibration
    ) -> tuple[RegionPrediction, ...]:
        predictions = []
        for i, structure in enumerate(structures_of(self.regions)):
            if bool(found[i]):
                region = i % len(self.regions)
                fa, cbf = (
                    calibration.predict_map(region, k, float(outputs.maps[0, i, k]), float(outputs.log_sd[0, i, k]))
                    for k in range(2)
                )
                predictions.append(RegionPrediction(structure, fa, cbf))
        return tuple(predictions)

    def _disease(self, outputs: Outputs, found: torch.Tensor, calibration: BiomarkerCalibration) -> dict[str, float]:
        if not bool(found.all()):
            return {}
        probabilities = calibration.probabilities(outputs.groups[0].numpy().astype(np.float64))
        return {name: float(p) for name, p in zip(self.groups, probabilities, strict=True)}


def _stems(outputs: Outputs, found: torch.Tensor, calibration: BiomarkerCalibration) -> tuple[StemPrediction, ...]:
    predictions = []
    for k, side in enumerate((Side.LEFT, Side.RIGHT)):
        if bool(found.reshape(2, -1)[k].all()):
            expected, probabilities = calibration.predict_stems(float(outputs.stems[0, k]))
            likeliest = int(probabilities.argmax())
            predictions.append(StemPrediction(side, expected, likeliest, float(probabilities[likeliest])))
    return tuple(predictions)
