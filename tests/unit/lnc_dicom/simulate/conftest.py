import pytest

from lnc_dicom.segment.synthesis.label_maps import load_label_map, load_palette
from lnc_dicom.simulate.images import make_images, prepare_anatomy
from lnc_dicom.simulate.subjects import CohortDesign, draw_people


@pytest.fixture(scope="session")
def palette(data):
    return load_palette(data / "label-maps")


@pytest.fixture(scope="session")
def model(data, palette):
    return prepare_anatomy(load_label_map(data / "label-maps" / "training_seg_04.nii.gz", palette), palette)


@pytest.fixture(scope="session")
def people():
    return draw_people(12, CohortDesign(), 7)


@pytest.fixture(scope="session")
def images(model, palette, people):
    return make_images(model, palette, people, 0, 70, 1180.0)
