import highdicom as hd
import numpy as np
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.errors import NoHead
from lnc_dicom.segment.evaluate.perturbations import EXPERIMENTS
from lnc_dicom.segment.evaluate.robustness import describe, run_experiments
from tests.factories import BoxSegmenter, boxes, head


@pytest.fixture(scope="module")
def labelled():
    array, lps_mm = head((64, 72, 96), (1.6, 1.6, 1.6))
    truth = np.full(array.shape, 2, np.int64)
    for s, inside in boxes(array.shape, lps_mm):
        truth[inside] = s.freesurfer
    return hd.Volume(array, lps_mm, coordinate_system="PATIENT"), truth


def _chosen(*names):
    return [e for e in EXPERIMENTS if e.name in names]


def test_the_tissues_of_a_head_are_read_from_its_labels(labelled):
    found = describe(*labelled)
    assert (found.fluid, found.grey, found.white) == pytest.approx((0.1, 0.7, 1.0))
    assert found.ventricles.sum() == np.isin(labelled[1], (4, 43)).sum()


def test_a_segmenter_that_does_not_look_is_not_disturbed(labelled):
    outcomes = run_experiments(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("noise", "position"))
    for outcome in outcomes:
        assert outcome.dice == pytest.approx(dict.fromkeys(outcome.dice, 1.0))
        assert outcome.volume_change == pytest.approx(dict.fromkeys(outcome.dice, 0.0))


def test_a_segmenter_that_does_not_follow_the_head_shows_it(labelled):
    """The labels must be brought along with a turned head, or a turned head would cost nothing."""
    (outcome,) = run_experiments(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("rotation")[8:9])
    assert outcome.dice["thalamus"] < 0.9


def test_a_head_that_is_refused_says_so(labelled):
    class Refusing(BoxSegmenter):
        calls = 0

        def __call__(self, volume, /):
            self.calls += 1
            if self.calls > 1:
                raise NoHead("nothing")
            return super().__call__(volume)

    (outcome,) = run_experiments(Refusing(), describe(*labelled), lambda *_: None, _chosen("skull"))
    assert outcome.refused == NoHead.code
    assert not outcome.dice


def test_all_structures_have_a_column(labelled):
    (outcome,) = run_experiments(BoxSegmenter(), describe(*labelled), lambda *_: None, _chosen("skull"))
    assert list(outcome.dice) == list(dict.fromkeys(s.name for s in STRUCTURES))
