import highdicom as hd
import numpy as np
import pytest
import torch
from scipy import ndimage

from lnc_dicom.biomarker.augment import inner
from lnc_dicom.biomarker.calibration import Calibration
from lnc_dicom.biomarker.crops import SHAPE, grid_of, structures_of
from lnc_dicom.biomarker.explain import Answer, attribution, explain, place_back
from lnc_dicom.biomarker.inference import BiomarkerModel
from lnc_dicom.predictions import Model
from tests.factories import LAYOUTS, BoxSegmenter, head, layout
from tests.unit.lnc_dicom.biomarker.conftest import GROUPS, REGIONS, make_cohort

PLAIN = Calibration((((0.25, 0.03), (50.0, 9.0)),) * 2, (1.7, 1.6), (3.3, 1.0), (0.4, 0.9), 0.8, 1.4, 1.3, 80)


@pytest.fixture(scope="module")
def model(trained):
    return BiomarkerModel(trained.network, PLAIN, GROUPS, Model("m", "1", "0"), demonstration=True)


@pytest.mark.parametrize("answer", Answer)
def test_every_answer_has_an_attribution_per_region(trained, answer):
    crops = inner(make_cohort(1, 9).crops)[0]
    maps = attribution(trained.network, crops, answer)
    assert maps.shape == (2 * len(REGIONS), *SHAPE)
    assert float(maps.min()) >= 0


def test_an_attribution_lies_where_the_information_is(trained):
    """The crops of the fixture tell everything by the ball in their middle."""
    crops = inner(make_cohort(12, 9).crops)
    maps = torch.stack([attribution(trained.network, one, Answer.FA) for one in crops]).numpy()
    inside = ndimage.binary_dilation(crops[:, :, 1].numpy() > 0.5, np.ones((1, 1, 5, 5, 5)))
    assert maps[inside].mean() > 1.5 * maps[~inside].mean()


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::11])
def test_a_crop_goes_back_to_where_it_was_cut(order, signs):
    volume = hd.Volume(*layout(*head(), order, signs), coordinate_system="PATIENT")
    labels = BoxSegmenter()(volume).labels
    for structure in structures_of(REGIONS):
        target = np.zeros(volume.shape, np.float32)
        ball = np.zeros(SHAPE, np.float32)
        ball[12:20, 16:24, 12:20] = 1
        place_back(target, volume, grid_of(labels, structure), ball)
        middle = np.array(ndimage.center_of_mass(target))
        wanted = np.array(ndimage.center_of_mass(labels.array == structure.label))
        np.testing.assert_allclose(middle, wanted, atol=0.6)


def test_the_saliency_of_a_study_lies_on_its_grid_between_0_and_1(model):
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    saliency = explain(model, volume, BoxSegmenter()(volume).labels, Answer.ROOTS)
    np.testing.assert_array_equal(saliency.affine, volume.affine)
    assert saliency.array.max() == pytest.approx(1)
    assert saliency.array.min() >= 0
