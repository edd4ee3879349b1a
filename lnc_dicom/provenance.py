"""Name and version of what makes a result: this software and its models."""

from __future__ import annotations

from importlib.metadata import version

from lnc_dicom.predictions import Model


def software_version() -> str:
    """Version of this package."""
    return version("lnc-dicom")


def algorithm_of(model: Model) -> tuple[str, str]:
    """Name and version of what measured the volumes, as TID 4019 gives them."""
    return model.name, f"{model.version}; lnc-dicom {software_version()}"
