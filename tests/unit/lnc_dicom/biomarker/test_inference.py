import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import Side
from lnc_dicom.biomarker.calibration import Calibration
from lnc_dicom.biomarker.inference import BiomarkerModel
from lnc_dicom.predictions import Model
from tests.factories import BoxSegmenter, head
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS

PLAIN = Calibration((((0.25, 0.03), (50.0, 9.0)),) * 2, (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80)


@pytest.fixture(scope="module")
def model(trained):
    return BiomarkerModel(trained.network, PLAIN, GROUPS, Model("m", "1", "0"), demonstration=True)


@pytest.fixture(scope="module")
def study():
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    return volume, BoxSegmenter()(volume).labels


def test_every_region_hemisphere_and_category_has_an_answer(model, study):
    found = model(*study)
    assert [p.structure.title for p in found.regions] == [
        *("Caudate, left", "Putamen, left", "Caudate, right", "Putamen, right")
    ]
    assert [p.side for p in found.roots] == [Side.LEFT, Side.RIGHT]
    assert tuple(found.disease) == GROUPS
    assert sum(found.disease.values()) == pytest.approx(1)
    assert all(f.shape == (512,) for f in found.features.values())


def test_every_prediction_lies_within_its_interval(model, study):
    found = model(*study)
    for p in (*(r.fa for r in found.regions), *(r.cbf for r in found.regions), *(r.expected for r in found.roots)):
        assert p.low <= p.value <= p.high


def test_the_same_study_gives_the_same_answer(model, study):
    one, other = model(*study), model(*study)
    assert one.regions == other.regions
    assert one.disease == other.disease


def test_a_region_that_was_not_found_has_no_answer_and_takes_its_hemisphere_along(model, study):
    volume, labels = study
    without = labels.with_array(np.where(labels.array == 1, 0, labels.array).astype(np.uint8))
    found = model(volume, without)
    assert len(found.regions) == 3
    assert [p.side for p in found.roots] == [Side.RIGHT]
    assert found.disease == {}
