import dataclasses

import numpy as np
import pytest

from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.segment.network import load_weights
from lnc_dicom.segment.train.extent_bias import FACTORS, add_bias, set_extent, volumes_ml
from lnc_dicom.segment.train.real_heads import load_real_head


def test_a_bias_changes_one_structure_on_both_sides_only():
    network = load_weights(WEIGHTS / "label.safetensors")
    before = network.last.bias.detach().clone()
    add_bias(network, "pallidum", -1.0)
    changed = network.last.bias.detach() - before
    assert changed.nonzero().flatten().tolist() == [5, 6]
    assert changed[5] == pytest.approx(-1.0)


def test_volumes_match_those_of_the_labels(data):
    head = load_real_head(data / "labelled" / "t1.nii.gz", data / "labelled" / "aparc+aseg.nii.gz")
    smaller = dataclasses.replace(head, codes=np.where(np.indices(head.codes.shape)[1] % 5, head.codes, 0))
    segmenter = load_segmenter()
    weights = set_extent(segmenter, [smaller], lambda _: None)
    spacing_mm = (1.25, 1.25, 1.25)
    labels = segmenter.probabilities(_volume(head))[0].argmax(0).astype(np.uint8)
    found, wanted = volumes_ml(labels, spacing_mm), volumes_ml(smaller.codes, head.spacing_mm)
    for name, weight in weights.items():
        assert found[name] == pytest.approx(wanted[name] * FACTORS.get(name, 1.0), rel=0.12), name
        assert weight != 1


def _volume(head):
    import highdicom as hd

    return hd.Volume(head.image.astype(np.float32), np.diag([*head.spacing_mm, 1.0]), coordinate_system="PATIENT")
