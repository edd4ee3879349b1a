import numpy as np
import pytest

from lnc_dicom.measure.volumetry import measure
from lnc_dicom.simulate.images import GROWING, HEAD, make_deep_t1, make_images
from lnc_dicom.simulate.parameters import REGIONS


def test_the_same_seed_gives_the_same_images(model, palette, people, images):
    again = make_images(model, palette, people, 0, 70, 1180.0)
    for name in ("t1", "fa", "cbf"):
        assert np.array_equal(getattr(again, name).array, getattr(images, name).array)


def test_all_images_cover_the_same_box(images):
    for volume in (images.t1, images.fa, images.cbf):
        low = volume.affine[:3, 3] - np.array(volume.spacing) / 2
        np.testing.assert_allclose(low, [-84.5, -96.5, -72.5])
        reach = np.array(volume.shape) * volume.spacing
        assert (np.abs(reach - HEAD.shape_mm) <= 3).all()


def test_structures_reach_the_volumes_that_were_drawn(model, palette, people):
    found, drawn = [], []
    for person in range(4):
        found.append(make_images(model, palette, people, person, person, 1180.0).volume_ml)
        drawn.append(people.volume[person])
    putamen = GROWING.index("putamen")
    wanted = np.array([4.842, 4.870]) * np.array(drawn)[:, REGIONS.index("putamen")]
    np.testing.assert_allclose(np.array(found)[:, putamen], wanted, rtol=0.12)


def test_the_segmentation_finds_the_structures_of_a_simulated_head(images, segmenter):
    measurements = measure(segmenter(images.t1))
    assert all(m.passed for m in measurements)
    for m in measurements:
        if m.structure.name in {"caudate", "putamen", "thalamus"}:
            true = images.volume_ml[GROWING.index(m.structure.name), int(m.structure.side.value == "right")]
            assert m.volume_ml == pytest.approx(true, rel=0.2)


def test_the_maps_have_the_drawn_values_inside_the_structures(images, segmenter, people):
    from lnc_dicom.anatomy import STRUCTURES
    from lnc_dicom.geometry.resampling import resample_labels

    labels = segmenter(images.t1).labels
    for name, drawn, tolerance in (("fa", people.fa, 0.15), ("cbf", people.cbf, 0.2)):
        volume = getattr(images, name)
        on_map = resample_labels(labels, volume.affine, volume.shape)
        for structure in STRUCTURES:
            if structure.name in {"putamen", "thalamus"}:
                row, side = REGIONS.index(structure.name), int(structure.side.value == "right")
                mean = float(volume.array[on_map == structure.label].mean())
                assert mean == pytest.approx(drawn[0, row, side], rel=tolerance)


def test_the_deep_part_has_the_volumes_and_contrast_that_were_drawn(model, palette, people):
    from lnc_dicom.biomarker.crops import DEFAULT_REGIONS, volumetry_ml, white_level

    t1, labels = make_deep_t1(model, palette, people, 1, 5, 1180.0)
    found = volumetry_ml(labels, DEFAULT_REGIONS)
    norms = np.array([3.470, 4.842, 1.996, 3.603, 4.870, 1.942])
    wanted = norms * people.volume[1, :3].T.ravel()
    np.testing.assert_allclose(found[:6], wanted, rtol=0.2)
    putamen = float(np.median(t1.array[labels.array == 3])) / white_level(t1, labels)
    assert putamen == pytest.approx(people.t1[1, 1, 0] / people.t1[1, 4, 0], abs=0.03)
