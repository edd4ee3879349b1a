"""Our own check of DICOM objects: what outside validators do not look at."""

from lnc_dicom.validate.content_tree import Violation
from lnc_dicom.validate.objects import check_object, check_references

__all__ = ["Violation", "check_object", "check_references"]
