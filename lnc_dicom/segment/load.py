"""The released weights → a segmenter; their digests are compared before they are used."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from lnc_dicom.errors import ModelMismatch
from lnc_dicom.predictions import Model
from lnc_dicom.segment.calibration import load_calibration
from lnc_dicom.segment.network import channels_last, load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter

WEIGHTS = Path(__file__).parent / "weights"
"""Weights of the release, with `model.toml` and MODEL_CARD.md."""


def load_segmenter(folder: Path = WEIGHTS, device: str = "cpu") -> NetworkSegmenter:
    """Build the segmenter from a folder that `lnc train segmentation` wrote. Raises ModelMismatch."""
    about = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    for file, expected in about["sha256"].items():
        digest = sha256(folder / file)
        if digest != expected:
            raise ModelMismatch(f"the digest of {file} is {digest[:12]}…, released was {expected[:12]}…")
    networks = {
        stage: channels_last(load_weights(folder / f"{stage}.safetensors"), device) for stage in ("locate", "label")
    }
    digest = hashlib.sha256("".join(about["sha256"].values()).encode()).hexdigest()
    model = Model(about["name"], about["version"], digest)
    return NetworkSegmenter(**networks, calibration=load_calibration(folder), model=model, device=device)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
