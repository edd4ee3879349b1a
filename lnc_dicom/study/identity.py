"""Headers of one study → the assurance that they name one patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydicom import Dataset

from lnc_dicom.errors import SeveralPatients
from lnc_dicom.study.priors import is_ours
from lnc_dicom.study.values import text

PATIENT = ("PatientID", "PatientName", "PatientBirthDate")
"""Attributes that must not differ within a study (PS3.3 C.7.1.1)."""


def refuse_several_patients(headers: Iterable[Dataset]) -> None:
    """Raise SeveralPatients if two objects of a study name different patients.

    An attribute that an object lacks or leaves empty contradicts nothing: derived maps often lose the name. Results of
    ours are not compared: they repeat what their images said, which may have been corrected since.
    """
    compared = [header for header in headers if not is_ours(header)]
    for name in PATIENT:
        found = Counter(value for header in compared if (value := _comparable(header, name)))
        if len(found) > 1:
            counts = " and ".join(str(n) for _, n in found.most_common())
            raise SeveralPatients(f"{name} has {len(found)} values, in {counts} objects")


def _comparable(header: Dataset, name: str) -> str:
    """Value without what archives change on the way: case, padding, trailing carets, other scripts of a name."""
    return text(header, name).split("=", maxsplit=1)[0].strip().rstrip("^ ").casefold()
