import dataclasses

import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead
from lnc_dicom.report import refuse_failed
from lnc_dicom.types import Measurement, Quality

GOOD = tuple(Measurement(s, 1000, 1.0, Quality.PASSED) for s in STRUCTURES)


def _with(quality, *labels):
    return tuple(dataclasses.replace(m, quality=quality) if m.structure.label in labels else m for m in GOOD)


def test_two_failed_nuclei_are_reported_not_refused():
    refuse_failed(GOOD)
    refuse_failed(_with(Quality.NOT_FOUND, 5, 6))


def test_three_failed_nuclei_mean_that_this_is_no_head():
    with pytest.raises(NoHead, match="3 of 8"):
        refuse_failed(_with(Quality.IMPLAUSIBLE, 1, 5, 6))


def test_failed_nuclei_in_a_brain_that_is_cut_mean_that_the_images_are_too_small():
    with pytest.raises(FieldOfViewTooSmall, match="3 of 8"):
        refuse_failed(_with(Quality.UNSURE, 1, 5, 6), brain_is_cut=True)


def test_one_nucleus_on_the_edge_means_that_the_images_are_cut():
    with pytest.raises(FieldOfViewTooSmall, match="Putamen, left"):
        refuse_failed(_with(Quality.CUT, 3))


def test_a_ventricle_on_the_edge_is_only_reported():
    refuse_failed(_with(Quality.CUT, 11, 12))
