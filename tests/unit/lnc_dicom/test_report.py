import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import FieldOfViewTooSmall, NoHead, NotT1Contrast, PoorImage, UnlikeHead, WrongPose
from lnc_dicom.measure import gates
from lnc_dicom.measure.gates import EDGE_VOXELS, FOUND, MIRROR, STUDY_GATES
from lnc_dicom.options import BiomarkerOptions
from lnc_dicom.predictions import BiomarkerResult
from lnc_dicom.report import (
    biomarker_caveats,
    change_caveats,
    failure_text,
    passed_labels,
    refuse,
    study_caveats,
    volume_change,
    with_disease_withheld,
)
from lnc_dicom.types import Caveat, Change, Measurement, Prior, Study, VolumeChange
from lnc_dicom.uids import tracking_uid
from tests.factories import MODEL, NOW

GOOD = tuple(Measurement(s, 1000, 1.0) for s in STRUCTURES)
GOOD_STUDY = tuple(gate.check(min(max(gate.low, 1.0), gate.high)) for gate in STUDY_GATES)


def _with(check, *labels):
    return tuple(
        Measurement(m.structure, 1000, 1.0, None, (check,)) if m.structure.label in labels else m for m in GOOD
    )


def _study(gate, value):
    return tuple(gate.check(value) if check.code == gate.code else check for check in GOOD_STUDY)


def test_two_failed_nuclei_are_reported_not_refused():
    refuse(GOOD_STUDY, GOOD)
    refuse(GOOD_STUDY, _with(FOUND.check(0), 5, 6))


def test_three_failed_nuclei_mean_that_this_is_no_head():
    with pytest.raises(NoHead, match="3 of 8"):
        refuse(GOOD_STUDY, _with(MIRROR.check(0.1), 1, 5, 6))


def test_failed_nuclei_in_a_brain_that_is_cut_mean_that_the_images_are_too_small():
    with pytest.raises(FieldOfViewTooSmall, match="3 of 8"):
        refuse(GOOD_STUDY, _with(MIRROR.check(0.1), 1, 5, 6), brain_is_cut=True)


def test_one_nucleus_on_the_edge_means_that_the_images_are_cut():
    with pytest.raises(FieldOfViewTooSmall, match="Putamen, left"):
        refuse(GOOD_STUDY, _with(EDGE_VOXELS.check(3), 3))


def test_a_ventricle_on_the_edge_is_only_reported():
    refuse(GOOD_STUDY, _with(EDGE_VOXELS.check(3), 11, 12))


@pytest.mark.parametrize(
    ("gate", "value", "error"),
    [
        (gates.WHITE_TO_GREY, -0.1, NotT1Contrast),
        (gates.CONTRAST_TO_NOISE, 0.1, PoorImage),
        (gates.EDGE_WIDTH, 30.0, PoorImage),
        (gates.FEATURE_DISTANCE, 99.0, UnlikeHead),
        (gates.MISFIT, math.nan, UnlikeHead),
        (gates.TURN, 90.0, WrongPose),
    ],
)
def test_a_study_that_fails_a_gate_is_refused_with_the_code_of_the_gate(gate, value, error):
    with pytest.raises(error, match=gate.code):
        refuse(_study(gate, value), GOOD)


def test_another_contrast_is_reported_before_the_nuclei_that_fail_because_of_it():
    with pytest.raises(NotT1Contrast):
        refuse(_study(gates.GREY_TO_FLUID, -0.4), _with(MIRROR.check(0.1), 1, 2, 3, 4, 5, 6))


def test_where_nothing_is_arranged_like_a_head_the_contrast_says_nothing():
    study = tuple(c if c.code != gates.MISFIT.code else gates.MISFIT.check(20) for c in _study(gates.GREY_TO_FLUID, -1))
    with pytest.raises(NoHead):
        refuse(study, _with(FOUND.check(0), 1, 2, 3, 4, 5, 6))


def test_the_reason_of_a_failed_structure_names_its_gate_and_not_its_volume():
    text = failure_text(_with(MIRROR.check(0.41), 3)[2])
    assert text == f"Putamen, left failed: {MIRROR.code} {MIRROR.name} 0.41 (at least {MIRROR.low})"
    assert "mL" not in text


def _change(measurements):
    """Change since an earlier study in which every structure had 800 mm³."""
    header = Dataset()
    header.PatientID, header.StudyInstanceUID, header.StudyDate = "A1", "1.2", "20260301"
    volumes = {tracking_uid(header, s.title): 800.0 for s in STRUCTURES}
    prior = Prior("1.1", "1.5", "1.6", NOW, date(2026, 1, 1), frozenset(), ("boxes", "1"), volumes)
    return volume_change(Study("1.2", (), (), (prior,)), header, measurements, ("boxes", "1"))


def test_a_change_is_given_in_percent_of_the_earlier_volume():
    change = _change(GOOD)
    assert change.days == 59
    assert len(change.volumes) == len(STRUCTURES)
    for volume in change.volumes:
        assert (volume.mm3, volume.percent) == (pytest.approx(200.0), pytest.approx(25.0))


def test_a_failed_structure_has_no_change():
    change = _change(_with(MIRROR.check(0.1), 3))
    assert 3 not in {v.structure.label for v in change.volumes}
    assert len(change.volumes) == len(STRUCTURES) - 1


def test_an_earlier_result_of_another_model_gives_a_caveat_instead_of_a_change():
    prior = Prior("1.1", "1.5", "1.6", NOW, date(2026, 1, 1), frozenset(), ("boxes", "1"), {})
    other, same = Change(prior, 59, ()), Change(prior, 59, (VolumeChange(STRUCTURES[0], 1.0, 2.0),))
    assert [c.code for c in change_caveats(other)] == ["LNC-423"]
    assert change_caveats(same) == change_caveats(None) == ()


def test_caveats_of_the_study_come_in_order_and_only_those_of_files_are_not_our_text():
    study = Study("1.2", (), (Caveat("LNC-401", "CANARY.dcm: cut"),))
    caveats = study_caveats(study, ("Patient's Weight emptied",), _with(MIRROR.check(0.1), 3))
    assert [(c.code, c.is_our_text) for c in caveats] == [
        ("LNC-400", True),
        ("LNC-401", False),
        ("LNC-422", True),
        ("LNC-402", True),
    ]


@pytest.mark.parametrize(
    ("changed", "codes"),
    [
        ({}, []),
        ({"demonstration": True}, ["LNC-408"]),
        ({"disease": {}}, ["LNC-409"]),
        ({"disease": {}, "disease_withheld": True}, []),
        ({"distance": 1.3}, ["LNC-421"]),
        ({"age_and_sex_known": False}, ["LNC-424"]),
    ],
)
def test_caveats_of_predictions(changed, codes):
    found = BiomarkerResult(MODEL, False, True, (), (), 0.9, 1.2, {"well": 1.0})  # noqa: FBT003
    caveats = biomarker_caveats(replace(found, **changed), BiomarkerOptions())
    assert [c.code for c in caveats] == codes
    assert all(c.is_our_text for c in caveats)


@pytest.mark.parametrize(
    ("demonstration", "asked", "shown"), [(True, False, False), (True, True, True), (False, False, True)]
)
def test_disease_of_a_demonstration_model_is_withheld_unless_the_site_asks(demonstration, asked, shown):
    found = BiomarkerResult(MODEL, demonstration, True, (), (), 0.9, 1.2, {"well": 1.0})  # noqa: FBT003
    kept = with_disease_withheld(found, BiomarkerOptions(demonstration_disease=asked))
    assert (bool(kept.disease), kept.disease_withheld) == (shown, not shown)


def test_labels_of_structures_that_failed_are_not_shown():
    labels = Volume(np.arange(15, dtype=np.uint8).reshape(1, 3, 5), np.eye(4), "PATIENT")
    shown = passed_labels(labels, _with(MIRROR.check(0.1), 3, 7))
    assert set(np.unique(shown.array)) == set(range(15)) - {3, 7}
    assert passed_labels(labels, GOOD) is labels
