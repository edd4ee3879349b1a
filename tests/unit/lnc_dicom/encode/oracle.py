"""A predictor that needs no network."""

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.predictions import BiomarkerResult, Model, PredictedValue, RegionPrediction, StemPrediction

FA, CBF, STEMS = PredictedValue(0.21, 0.17, 0.26), PredictedValue(48.5, 31.0, 64.0), PredictedValue(3.4, 2.0, 4.8)


class Oracle:
    """Predicts the same of everybody: of the given structures and sides."""

    def __init__(
        self, *, demonstration=True, digest="a" * 64, distance=0.9, structures=STRUCTURES[:1], sides=(Side.LEFT,)
    ):
        self.model = Model("oracle", "3", digest)
        self.demonstration, self._distance = demonstration, distance
        self._structures, self._sides = structures, sides

    def __call__(self, _volume, _labels, person):
        return BiomarkerResult(
            model=self.model,
            demonstration=self.demonstration,
            age_and_sex_known=person.is_known,
            regions=tuple(RegionPrediction(s, FA, CBF) for s in self._structures),
            stems=tuple(StemPrediction(side, STEMS, 3, 0.4) for side in self._sides),
            distance=self._distance,
            farthest=1.2,
            disease={"well": 0.7, "ill": 0.3},
            features={s: np.zeros(512, np.float32) for s in self._structures},
        )
