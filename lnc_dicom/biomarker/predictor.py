"""T1 + labels → `Biomarker`: what the model predicts of FA, CBF, roots and disease."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from highdicom import Volume

from lnc_dicom.anatomy import Side
from lnc_dicom.biomarker.calibration import Calibration
from lnc_dicom.biomarker.crops import cut_crops, structures_of
from lnc_dicom.biomarker.network import BiomarkerNetwork, Outputs, standardised
from lnc_dicom.predictions import Biomarker, Model, Person, RegionPrediction, RootPrediction


@dataclass(frozen=True, slots=True, eq=False)
class BiomarkerModel:
    """A trained network with all that makes its answers readable.

    calibration, untold
        For patients whose age and sex are known, and for others.
    groups
        Names of the disease categories.
    demonstration
        Trained on simulated patients: no clinical meaning.
    """

    network: BiomarkerNetwork = field(repr=False)
    calibration: Calibration
    untold: Calibration
    groups: tuple[str, ...]
    model: Model
    demonstration: bool

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions, in the order of the crops."""
        return self.network.architecture.regions

    @torch.inference_mode()
    def __call__(self, volume: Volume, labels: Volume, person: Person) -> Biomarker:
        """Predict from a T1, the labels of the structures that were found, and age and sex where both are known.

        A region that is missing has no prediction; then its hemisphere has no roots and the patient no disease.
        """
        crops = cut_crops(volume, labels, self.regions)
        found = ~torch.isnan(crops).flatten(1).any(1)
        told = standardised((person.age, person.man)) if person.is_known else None
        outputs = self.network(crops.nan_to_num(0.0)[None], told)
        calibration = self.calibration if person.is_known else self.untold
        return Biomarker(
            model=self.model,
            demonstration=self.demonstration,
            told=person.is_known,
            regions=self._regions(outputs, found, calibration),
            roots=_roots(outputs, found, calibration),
            distance=float(outputs.distance.max()),
            farthest=calibration.farthest,
            disease=self._disease(outputs, found, calibration),
            features={
                s: outputs.features[0, i].numpy() for i, s in enumerate(structures_of(self.regions)) if bool(found[i])
            },
        )

    def _regions(self, outputs: Outputs, found: torch.Tensor, calibration: Calibration) -> tuple[RegionPrediction, ...]:
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

    def _disease(self, outputs: Outputs, found: torch.Tensor, calibration: Calibration) -> dict[str, float]:
        if not bool(found.all()):
            return {}
        chances = calibration.probabilities(outputs.groups[0].numpy().astype(np.float64))
        return {name: float(p) for name, p in zip(self.groups, chances, strict=True)}


def _roots(outputs: Outputs, found: torch.Tensor, calibration: Calibration) -> tuple[RootPrediction, ...]:
    predictions = []
    for k, side in enumerate((Side.LEFT, Side.RIGHT)):
        if bool(found.reshape(2, -1)[k].all()):
            expected, chances = calibration.predict_roots(float(outputs.roots[0, k]))
            likeliest = int(chances.argmax())
            predictions.append(RootPrediction(side, expected, likeliest, float(chances[likeliest])))
    return tuple(predictions)
