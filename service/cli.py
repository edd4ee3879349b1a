"""All commands of `lnc`: the library's and the service's."""

from __future__ import annotations

from lnc_dicom.cli import app


def main() -> None:
    """Run `lnc`."""
    app()
