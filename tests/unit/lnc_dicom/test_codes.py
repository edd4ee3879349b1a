import io

import pydicom
import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code

from lnc_dicom import codes
from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.measure import gates
from lnc_dicom.options import BiomarkerOptions, Options
from lnc_dicom.pipeline import process
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.factories import NOW, BoxSegmenter, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle

OF_THE_IMAGE_LIBRARY = {("UCUM", "{pixels}"), ("UCUM", "{-1:1}")}
"""Units that highdicom writes of itself (TID 1602, TID 1604)."""
GATES = {gate.code for gate in gates.GATES}


def _all_codes():
    for value in vars(codes).values():
        if isinstance(value, Code):
            yield value
        elif isinstance(value, dict):
            yield from (v for v in value.values() if isinstance(v, Code))


FROM_PYDICOM = [c for c in _all_codes() if codes.verified(c) == codes.PYDICOM]


@pytest.mark.parametrize("code", FROM_PYDICOM, ids=lambda c: c.meaning)
def test_every_code_is_in_the_standards_dictionary_with_its_meaning(code):
    known = _concepts_dict.concepts[code.scheme_designator]
    meanings = [entry[code.value][0] for entry in known.values() if code.value in entry]
    assert code.meaning in meanings


def test_every_code_says_where_it_was_seen_and_no_note_is_left_over():
    elsewhere = [c for c in _all_codes() if codes.verified(c) not in {codes.PYDICOM, codes.OURS}]
    noted = {(c.scheme_designator, c.value) for c in elsewhere}
    assert noted == set(codes.OTHERWISE_VERIFIED)
    assert all(codes.OTHERWISE_VERIFIED.values())


def test_no_code_is_written_that_is_not_in_the_table(tmp_path):
    write_series(tmp_path)
    options = Options(biomarker=BiomarkerOptions(demonstration_disease=True))
    tools = Tools(BoxSegmenter(), NOW, options=options, predictor=Oracle())
    _, objects = process(read_study([tmp_path]), tools)
    table = {(c.scheme_designator, c.value) for c in _all_codes()}
    unknown = set()
    for item in (o for o in objects if "SR" in o.sop_class or "Segmentation" in o.sop_class):
        for scheme, value in _written(pydicom.dcmread(io.BytesIO(item.data))):
            local = scheme == codes.LOCAL_SCHEME and (value in GATES or value.startswith(codes.CATEGORY_PROBABILITY))
            if (scheme, value) not in table and not local and not _is_standard(scheme, value):
                unknown.add((scheme, value))
    assert unknown <= OF_THE_IMAGE_LIBRARY


def _written(dataset):
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                if "CodeValue" in item and "CodingSchemeDesignator" in item:
                    yield item.CodingSchemeDesignator, item.CodeValue
                yield from _written(item)


def _is_standard(scheme, value):
    """Whether a code that highdicom writes of itself is in the dictionary."""
    return scheme == "RFC5646" or any(value in entry for entry in _concepts_dict.concepts.get(scheme, {}).values())


def test_every_structure_and_side_has_a_code():
    assert {s.name for s in STRUCTURES} == set(codes.STRUCTURE)
    assert set(Side) == set(codes.LATERALITY)


def test_local_codes_are_valid_and_no_two_are_the_same():
    local = [c for c in _all_codes() if c.scheme_designator == codes.LOCAL_SCHEME]
    assert len({c.value for c in local}) == len(local) > 0
    for code in local:  # SH and LO, PS3.5 6.2
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64
