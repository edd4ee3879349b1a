import dataclasses

import pytest

from lnc_dicom.segment.train.stages import LOCATE


@pytest.mark.parametrize(("after", "expected"), [(None, [False, False, False]), (0.5, [False, True, True])])
def test_the_contrast_is_realistic_from_a_fraction_of_the_training_on(after, expected):
    config = dataclasses.replace(LOCATE.synthesis, realistic_contrast_after=after)
    assert [config.has_realistic_contrast(done) for done in (0.49, 0.5, 1.0)] == expected
