"""A predictor that needs no network."""

import numpy as np

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.predictions import BiomarkerResult, Model, PredictedValue, RegionPrediction, StemPrediction


class Oracle:
    """Predicts the same of everybody."""

    def __init__(self, *, demonstration=True, digest="a" * 64, distance=0.9):
        self.model = Model("oracle", "3", digest)
        self._demonstration, self._distance = demonstration, distance

    def __call__(self, _volume, _labels, person):
        caudate = STRUCTURES[0]
        return BiomarkerResult(
            model=self.model,
            demonstration=self._demonstration,
            told=person.is_known,
            regions=(RegionPrediction(caudate, PredictedValue(0.21, 0.17, 0.26), PredictedValue(48.5, 31.0, 64.0)),),
            stems=(StemPrediction(Side.LEFT, PredictedValue(3.4, 2.0, 4.8), 3, 0.4),),
            distance=self._distance,
            farthest=1.2,
            disease={"well": 0.7, "ill": 0.3},
            features={caudate: np.zeros(512, np.float32)},
        )
