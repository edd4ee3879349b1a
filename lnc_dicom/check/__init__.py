"""Our own check of DICOM objects: what outside validators do not look at."""

from lnc_dicom.check.objects import check_object, check_references
from lnc_dicom.check.tree import Violation

__all__ = ["Violation", "check_object", "check_references"]
