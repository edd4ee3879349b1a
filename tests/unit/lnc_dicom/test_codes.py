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


@pytest.mark.parametrize(
    "code", [c for c in _all_codes() if c.scheme_designator != codes.LOCAL_SCHEME], ids=lambda c: c.meaning
)
def test_every_code_is_in_the_standards_dictionary_with_its_meaning(code):
    known = _concepts_dict.concepts[code.scheme_designator]
    meanings = [entry[code.value][0] for entry in known.values() if code.value in entry]
    assert code.meaning in meanings


def test_every_structure_and_side_has_a_code():
    assert {s.name for s in STRUCTURES} == set(codes.STRUCTURE)
    assert set(Side) == set(codes.LATERALITY)


def test_local_codes_are_valid_and_no_two_are_the_same():
    local = [c for c in _all_codes() if c.scheme_designator == codes.LOCAL_SCHEME]
    assert len({c.value for c in local}) == len(local) > 0
    for code in local:  # SH and LO, PS3.5 6.2
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64
