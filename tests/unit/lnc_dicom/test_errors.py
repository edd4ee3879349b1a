import inspect

import pytest

from lnc_dicom import errors
from lnc_dicom.cli.console import exit_code

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.LncError)]


def test_every_error_has_a_code_of_its_own():
    codes = [c.code for c in CLASSES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", CLASSES, ids=lambda c: c.__name__)
def test_an_error_prints_code_what_and_advice(error):
    assert str(error("seven of nine")) == f"{error.code} seven of nine → {error.do}"


@pytest.mark.parametrize(
    ("family", "code"),
    [(errors.PathMissing, 2), (errors.NoT1, 3), (errors.PacsUnreachable, 1), (errors.ModelMismatch, 1)],
)
def test_the_family_of_an_error_decides_the_exit_code(family, code):
    assert exit_code(family("x")) == code
