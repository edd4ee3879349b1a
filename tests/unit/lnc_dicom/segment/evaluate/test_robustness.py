import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import NoHead
from lnc_dicom.segment.evaluate.perturbations import PERTURBATIONS
from lnc_dicom.segment.evaluate.robustness import describe, run_perturbations
from tests.factories import BoxSegmenter, boxes, head


@pytest.fixture(scope="module")
def labelled():
    array, lps_mm = head((64, 72, 96), (1.6, 1.6, 1.6))
    truth = np.full(array.shape, 2, np.int64)
    for s, inside in boxes(array.shape, lps_mm):
        truth[inside] = s.freesurfer
    return hd.Volume(array, lps_mm, coordinate_system="PATIENT"), truth


def _chosen(*names):
    return [e for e in PERTURBATIONS if e.name in names]


def test_tissue_intensities_are_medians_over_the_labels(labelled):
    found = describe(*labelled)
    assert (found.fluid, found.grey, found.white) == pytest.approx((0.1, 0.7, 1.0))
    assert found.ventricles.sum() == np.isin(labelled[1], (4, 43)).sum()


def test_a_segmenter_that_ignores_the_image_is_not_affected(labelled):
    results = run_perturbations(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("noise", "position"))
    for result in results:
        assert result.dice == pytest.approx(dict.fromkeys(result.dice, 1.0))
        assert result.volume_change == pytest.approx(dict.fromkeys(result.dice, 0.0))


def test_a_segmenter_that_ignores_a_turn_of_the_head_loses_dice(labelled):
    """The labels are resampled to the turned head; otherwise a turn would cost nothing."""
    (result,) = run_perturbations(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("rotation")[8:9])
    assert result.dice["thalamus"] < 0.9


def test_a_refused_head_has_the_code_of_the_error(labelled):
    class Refusing(BoxSegmenter):
        calls = 0

        def __call__(self, volume, /):
            self.calls += 1
            if self.calls > 1:
                raise NoHead("nothing")
            return super().__call__(volume)

    (result,) = run_perturbations(Refusing(), describe(*labelled), lambda *_: None, _chosen("skull"))
    assert result.refused == NoHead.code
    assert not result.dice


def test_every_structure_has_a_result(labelled):
    (result,) = run_perturbations(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("skull"))
    assert list(result.dice) == list(dict.fromkeys(s.name for s in STRUCTURES))
