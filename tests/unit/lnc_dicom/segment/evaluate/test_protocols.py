import pytest

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.evaluate.protocols import LabelProtocol, label_protocol, regions


@pytest.mark.parametrize("protocol", LabelProtocol)
def test_no_label_is_in_two_regions(protocol):
    for which in ("ours", "theirs"):
        labels = [n for region in regions(protocol) for n in getattr(region, which)]
        assert labels
        assert len(labels) == len(set(labels))


@pytest.mark.parametrize("protocol", LabelProtocol)
def test_every_region_exists_on_both_sides(protocol):
    names = {s.label: (s.name, s.side) for s in STRUCTURES}
    sides = {side: [r for r in regions(protocol) if r.side is side] for side in Side}
    assert [r.name for r in sides[Side.LEFT]] == [r.name for r in sides[Side.RIGHT]]
    for side, found in sides.items():
        assert {names[n][1] for r in found for n in r.ours} == {side}


def test_freesurfer_has_all_our_structures():
    assert [r.ours for r in regions(LabelProtocol.FREESURFER)] == [(s.label,) for s in STRUCTURES]


def test_a_protocol_is_found_by_its_name():
    assert label_protocol("Xiao") is LabelProtocol.XIAO
    with pytest.raises(UnusableInput, match="freesurfer, mage, xiao, jhu"):
        label_protocol("aal")
