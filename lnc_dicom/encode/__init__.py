"""Report → DICOM objects, one file per object."""

from lnc_dicom.encode.objects import FILES, EncodedObject, encode

__all__ = ["FILES", "EncodedObject", "encode"]
