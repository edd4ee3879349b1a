"""A folder of weights → a model and what explains it; digests are compared before anything is used."""

from __future__ import annotations

import functools
import hashlib
import tomllib
from pathlib import Path

from lnc_dicom.biomarker.calibration import Calibration, load_calibrations
from lnc_dicom.biomarker.gradcam import explain_answers
from lnc_dicom.biomarker.network import BiomarkerNetwork, load_network
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.errors import ModelMismatch, UnusableInput
from lnc_dicom.options import BiomarkerOptions
from lnc_dicom.predictions import Model
from lnc_dicom.segment.load import sha256
from lnc_dicom.tools import Explainer

WEIGHTS = Path(__file__).parent / "weights"
"""The demonstration model of the release, with `model.toml` and MODEL_CARD.md."""
NETWORK = "biomarker.safetensors"
ABOUT = "model.toml"
_OTHER_VERSION = "the biomarker model was written by another version of lnc-dicom: train it again"


def load_model(folder: Path = WEIGHTS) -> BiomarkerModel:
    """Build the model from a folder that `lnc train biomarker` wrote. Raises UnusableInput, ModelMismatch."""
    if not (folder / ABOUT).is_file():
        raise UnusableInput(f"there is no {ABOUT} in the folder of the biomarker model")
    about = tomllib.loads((folder / ABOUT).read_text(encoding="utf-8"))
    for file, expected in about["sha256"].items():
        digest = sha256(folder / file)
        if digest != expected:
            raise ModelMismatch(f"the digest of {file} is {digest[:12]}…, released was {expected[:12]}…")
    digest = hashlib.sha256("".join(about["sha256"].values()).encode()).hexdigest()
    with_covariates, without_covariates = _calibrations(folder)
    return BiomarkerModel(
        network=_network(folder / NETWORK),
        calibration=with_covariates,
        without_covariates=without_covariates,
        groups=tuple(about["groups"]),
        model=Model(about["name"], about["version"], digest),
        demonstration=bool(about["demonstration"]),
    )


def _network(path: Path) -> BiomarkerNetwork:
    try:
        return load_network(path)
    except RuntimeError as error:  # torch's, for tensors that are missing, too many or of another shape
        raise UnusableInput(_OTHER_VERSION) from error


def _calibrations(folder: Path) -> tuple[Calibration, Calibration]:
    try:
        return load_calibrations(folder)
    except (KeyError, TypeError) as error:
        raise UnusableInput(_OTHER_VERSION) from error


def load_predictor(options: BiomarkerOptions) -> BiomarkerModel | None:
    """Build the model that a site has chosen; None where it wants no predictions."""
    return load_model(options.model or WEIGHTS) if options.enabled else None


def explainer_of(model: BiomarkerModel | None) -> Explainer | None:
    """Give what explains the answers of a model; None where there is none."""
    return None if model is None else functools.partial(explain_answers, model)
