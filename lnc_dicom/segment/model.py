"""The released weights → a segmenter; their digests are compared before they are used."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

from lnc_dicom.errors import ModelMismatch
from lnc_dicom.segment.inference import NetworkSegmenter
from lnc_dicom.segment.network import channels_last, load_weights
from lnc_dicom.types import Model

WEIGHTS = Path(__file__).parent / "weights"
"""Weights of the release, with `model.toml` and MODEL_CARD.md."""


def load_segmenter(folder: Path = WEIGHTS, device: str = "cpu") -> NetworkSegmenter:
    """Build the segmenter from a folder that `lnc train segmentation` wrote. Raises ModelMismatch."""
    about = tomllib.loads((folder / "model.toml").read_text(encoding="utf-8"))
    networks = {}
    for stage in ("locate", "label"):
        path = folder / f"{stage}.safetensors"
        digest = sha256(path)
        if digest != about["sha256"][stage]:
            raise ModelMismatch(
                f"the digest of {path.name} is {digest[:12]}…, released was {about['sha256'][stage][:12]}…"
            )
        networks[stage] = channels_last(load_weights(path), device)
    digest = hashlib.sha256("".join(about["sha256"][s] for s in ("locate", "label")).encode()).hexdigest()
    return NetworkSegmenter(**networks, model=Model(about["name"], about["version"], digest), device=device)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
