from dataclasses import FrozenInstanceError

import pytest

from lnc_dicom.options import Options
from lnc_dicom.tools import Tools
from tests.factories import NOW, BoxSegmenter


def test_without_more_nothing_is_predicted_and_nobody_watches():
    tools = Tools(BoxSegmenter(), NOW)
    assert (tools.predictor, tools.explainer, tools.options) == (None, None, Options())
    with tools.stage("segment"):
        pass


def test_a_stage_that_fails_still_fails_under_the_silent_watcher():
    with pytest.raises(ZeroDivisionError), Tools(BoxSegmenter(), NOW).stage("segment"):
        _ = 1 / 0


def test_tools_are_handed_over_not_changed():
    with pytest.raises(FrozenInstanceError):
        Tools(BoxSegmenter(), NOW).now = None
