"""A model folder → the biomarker model and its explainer."""

from __future__ import annotations

import functools
from pathlib import Path

from lnc_dicom.biomarker.calibration import BiomarkerCalibration, load_calibrations
from lnc_dicom.biomarker.gradcam import explain_targets
from lnc_dicom.biomarker.network import BiomarkerNetwork, load_network
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.errors import UnusableInput
from lnc_dicom.options import BiomarkerOptions
from lnc_dicom.tools import Explainer
from lnc_dicom.weights_file import load_about

WEIGHTS = Path(__file__).parent / "weights"
"""The demonstration model of the release, with `model.toml` and MODEL_CARD.md."""
NETWORK = "biomarker.safetensors"
_OTHER_VERSION = "the biomarker model was written by another version of lnc-dicom; train it again"


def load_model(folder: Path = WEIGHTS) -> BiomarkerModel:
    """Build the model from a folder that `lnc train biomarker` wrote. Raises UnusableInput, ModelMismatch."""
    model, about = load_about(folder)
    with_covariates, without_covariates = _calibrations(folder)
    return BiomarkerModel(
        network=_network(folder / NETWORK),
        calibration=with_covariates,
        without_covariates=without_covariates,
        groups=tuple(about["groups"]),
        model=model,
        demonstration=bool(about["demonstration"]),
    )


def _network(path: Path) -> BiomarkerNetwork:
    try:
        return load_network(path)
    except RuntimeError as error:  # torch: tensors are missing, unknown or of another shape
        raise UnusableInput(_OTHER_VERSION) from error


def _calibrations(folder: Path) -> tuple[BiomarkerCalibration, BiomarkerCalibration]:
    try:
        return load_calibrations(folder)
    except (KeyError, TypeError) as error:
        raise UnusableInput(_OTHER_VERSION) from error


def load_predictor(options: BiomarkerOptions) -> BiomarkerModel | None:
    """Build the model that a site has chosen; None if it has switched predictions off."""
    return load_model(options.model or WEIGHTS) if options.enabled else None


def explainer_of(model: BiomarkerModel | None) -> Explainer | None:
    """Give the explainer of a model; None without a model."""
    return None if model is None else functools.partial(explain_targets, model)
