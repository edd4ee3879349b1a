import numpy as np

from lnc_dicom.segment.components import largest_component_per_label


def test_the_largest_face_connected_component_of_each_label_stays():
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[4, 4, 4] = 1  # touches with a corner only
    labels[6:8, 6:8, 6:8] = 2
    labels[0, 0, 7] = 2
    kept = largest_component_per_label(labels)
    assert (kept == 1).sum() == 27
    assert (kept == 2).sum() == 8
