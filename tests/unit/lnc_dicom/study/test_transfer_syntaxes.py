import subprocess
import sys

from pydicom import uid

from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES

LOSSY = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K)


def test_no_lossy_encoding_is_decoded():
    assert not set(LOSSY) & set(TRANSFER_SYNTAXES)


def test_the_default_of_dicom_is_decoded():
    assert uid.ImplicitVRLittleEndian in TRANSFER_SYNTAXES  # PS3.5 10.1


def test_the_receiver_gets_the_list_without_heavy_imports():
    code = (
        "import sys, lnc_dicom.study.transfer_syntaxes;"
        "print({'torch', 'highdicom', 'scipy', 'SimpleITK'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"
