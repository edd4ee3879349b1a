"""Report → DICOM objects, one file per object."""

from lnc_dicom.encode.objects import EncodedObject, encode

__all__ = ["EncodedObject", "encode"]
