"""A folder of weights → a segmenter; the digests of the files are compared before they are used."""

from __future__ import annotations

from pathlib import Path

from lnc_dicom.segment.calibration import load_calibration
from lnc_dicom.segment.network import channels_last, load_weights
from lnc_dicom.segment.segmenter import NetworkSegmenter
from lnc_dicom.weights_file import load_about

WEIGHTS = Path(__file__).parent / "weights"
"""Weights of the release, with `model.toml` and MODEL_CARD.md."""


def load_segmenter(folder: Path = WEIGHTS, device: str = "cpu") -> NetworkSegmenter:
    """Build the segmenter from a folder that `lnc train segmentation` wrote. Raises UnusableInput, ModelMismatch."""
    model, _ = load_about(folder)
    networks = {
        stage: channels_last(load_weights(folder / f"{stage}.safetensors"), device) for stage in ("locate", "label")
    }
    return NetworkSegmenter(**networks, calibration=load_calibration(folder), model=model, device=device)
