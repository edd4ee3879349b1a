import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lnc_dicom.biomarker.evaluation.figures import figures_of


@pytest.fixture(scope="module")
def figures(effect):
    return figures_of(effect)


def _image(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int)


def test_every_figure_has_a_caption_and_shows_something(figures):
    assert list(figures) == [
        *("Predicted and measured", "Confusion", "Calibration", "Deep features", "Shuffled labels", "Learning curve")
    ]
    for title, (png, caption) in figures.items():
        assert caption.endswith("."), title
        assert _image(png).std() > 5, title


def test_figures_without_data_are_left_out(effect):
    none = tuple(replace(p, count=0) for p in effect.permutations)
    found = figures_of(replace(effect, permutations=none, learning_curve=()))
    assert not {"Shuffled labels", "Learning curve"} & set(found)


def test_points_of_the_embedding_have_the_colour_of_their_group(effect, figures):
    one_group = figures_of(replace(effect, group=np.zeros_like(effect.group)))["Deep features"][0]
    orange = np.array([0xD5, 0x5E, 0x00])  # colour of the second group
    near = [(np.abs(_image(png) - orange).sum(axis=2) < 60).sum() for png in (figures["Deep features"][0], one_group)]
    assert near[0] > 5 * near[1]
