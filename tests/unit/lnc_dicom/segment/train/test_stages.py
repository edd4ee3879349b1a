import pytest

from lnc_dicom.segment.train.stages import LABEL, LAST_DICE_WEIGHT, LOCATE


@pytest.mark.parametrize("stage", [LOCATE, LABEL], ids=lambda s: s.name)
def test_the_released_networks_have_the_architecture_that_is_trained(stage, segmenter):
    architecture = getattr(segmenter, stage.name).architecture
    assert (architecture.channels, architecture.classes) == (stage.channels, stage.classes)
    assert all(n % architecture.multiple == 0 for n in stage.synthesis.shape)


def test_the_weight_of_the_dice_fades_in_a_straight_line():
    start, end = LABEL.dice_fades
    weights = [LABEL.dice_weight(done) for done in (0, start, (start + end) / 2, end, 1)]
    assert weights == pytest.approx([1, 1, (1 + LAST_DICE_WEIGHT) / 2, LAST_DICE_WEIGHT, LAST_DICE_WEIGHT])
    assert LOCATE.dice_weight(1.0) == 1
