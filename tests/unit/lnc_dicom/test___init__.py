"""The public names are the ones that the documentation of the package promises."""

import re
import subprocess
import sys

import pytest

import lnc_dicom


@pytest.mark.parametrize("name", lnc_dicom.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name):
    assert getattr(lnc_dicom, name) is not None
    assert re.search(rf"\b{name}\b", lnc_dicom.__doc__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lnc_dicom.nothing


def test_importing_the_package_loads_neither_torch_nor_highdicom():
    script = "import sys, lnc_dicom; sys.exit(bool({'torch', 'highdicom'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_nothing_else_is_public():
    assert dir(lnc_dicom) == sorted(lnc_dicom.__all__)
