"""What was measured of the networks after training: where structures lie, what crops look like, how far volumes err.

Fitted on images synthesised from label maps (`segment.train.calibrate`); `calibration.json` lies beside the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lnc_dicom.predictions import freeze

FILE = "calibration.json"


@dataclass(frozen=True, slots=True)
class VolumeCalibration:
    """Intervals of the volumes, and the references that pose and features are compared with.

    constellation_mm
        Mean centroid per label over the training heads, LPS, relative to the centroid of the deep grey matter;
        left and right averaged, so that it is symmetric.
    feature_mean, feature_sd
        Mean and SD of the pooled bottleneck features (2 x channels) over synthetic crops.
    volume_error
        By name of a structure: half the width of the 90 % interval of ln(volume), per unit of `Confidence.spread`.
    coverage
        By name of a structure: share of held-out images whose true volume lay in the interval, where the interval was
        fitted on the other heads.
    images
        Number of synthetic images that both were fitted on.
    """

    constellation_mm: Mapping[int, npt.NDArray[np.float64]] = field(repr=False)
    feature_mean: npt.NDArray[np.float64] = field(repr=False)
    feature_sd: npt.NDArray[np.float64] = field(repr=False)
    volume_error: Mapping[str, float]
    coverage: Mapping[str, float]
    images: int

    def __post_init__(self) -> None:
        """Make the arrays and tables read-only."""
        freeze(self, "constellation_mm", "volume_error", "coverage")
        for array in (self.feature_mean, self.feature_sd, *self.constellation_mm.values()):
            array.setflags(write=False)

    def feature_distance(self, features: npt.NDArray[np.float64]) -> float:
        """Root mean square of the z scores of features (2 x channels); about 1 for images like those trained on."""
        return float(np.sqrt((((features - self.feature_mean) / self.feature_sd) ** 2).mean()))


def pool_features(bottleneck: Tensor) -> npt.NDArray[np.float64]:
    """Mean and SD over space of every channel (1, C, l, p, s) → (2 C,)."""
    flat = bottleneck.float().flatten(2)[0]
    return np.concatenate([flat.mean(1).cpu().numpy(), flat.std(1).cpu().numpy()]).astype(np.float64)


def load_calibration(folder: Path) -> VolumeCalibration:
    """Read the calibration from the folder of a model."""
    about = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return VolumeCalibration(
        {int(label): np.array(point) for label, point in about["constellation_mm"].items()},
        np.array(about["feature_mean"]),
        np.array(about["feature_sd"]),
        about["volume_error"],
        about["coverage"],
        about["images"],
    )


def save_calibration(folder: Path, calibration: VolumeCalibration) -> None:
    """Write the calibration into the folder of a model."""
    about = {
        "images": calibration.images,
        "volume_error": {name: round(v, 4) for name, v in calibration.volume_error.items()},
        "coverage": {name: round(v, 4) for name, v in calibration.coverage.items()},
        "constellation_mm": {str(k): [round(float(x), 2) for x in v] for k, v in calibration.constellation_mm.items()},
        "feature_mean": [round(float(x), 5) for x in calibration.feature_mean],
        "feature_sd": [round(float(x), 5) for x in calibration.feature_sd],
    }
    (folder / FILE).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
