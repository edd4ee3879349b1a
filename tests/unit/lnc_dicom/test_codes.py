import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code

from lnc_dicom import codes
from lnc_dicom.anatomy import STRUCTURES, Side


def _all_codes():
    for value in vars(codes).values():
        if isinstance(value, Code):
            yield value
        elif isinstance(value, dict):
            yield from (v for v in value.values() if isinstance(v, Code))


@pytest.mark.parametrize("code", list(_all_codes()), ids=lambda c: c.meaning)
def test_every_code_is_in_the_standards_dictionary_with_its_meaning(code):
    known = _concepts_dict.concepts[code.scheme_designator]
    meanings = [entry[code.value][0] for entry in known.values() if code.value in entry]
    assert code.meaning in meanings


def test_every_structure_and_side_has_a_code():
    assert {s.name for s in STRUCTURES} == set(codes.STRUCTURE)
    assert set(Side) == set(codes.LATERALITY)
