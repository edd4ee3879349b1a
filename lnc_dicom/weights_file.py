"""A folder with the weights of a model → what `model.toml` says of them, if the files are those it was written for."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from lnc_dicom.errors import ModelMismatch, UnusableInput
from lnc_dicom.predictions import Model

ABOUT = "model.toml"
"""Name, version and the SHA-256 of every file that the model reads."""


def load_about(folder: Path) -> tuple[Model, dict[str, Any]]:
    """Read `model.toml` and compare the digests of the files that it names.

    Returns the model, whose digest is that of all files together, and the whole content of `model.toml`.
    Raises UnusableInput (no model in the folder), ModelMismatch (another file than the released one).
    """
    if not (folder / ABOUT).is_file():
        raise UnusableInput(f"there is no {ABOUT} in the folder of the model")
    about = tomllib.loads((folder / ABOUT).read_text(encoding="utf-8"))
    for file, expected in about["sha256"].items():
        digest = sha256(folder / file)
        if digest != expected:
            raise ModelMismatch(f"the digest of {file} is {digest[:12]}…, released was {expected[:12]}…")
    together = hashlib.sha256("".join(about["sha256"].values()).encode()).hexdigest()
    return Model(about["name"], about["version"], together), about


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises UnusableInput if the file is missing."""
    if not path.is_file():
        raise UnusableInput(f"there is no {path.name} in the folder of the model")
    return hashlib.sha256(path.read_bytes()).hexdigest()
