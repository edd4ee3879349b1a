import numpy as np
import pytest

from lnc_dicom.anatomy import INTERNAL_CAPSULE_FREESURFER
from lnc_dicom.segment.synthesis.internal_capsule import add_internal_capsule

LEFT, RIGHT = INTERNAL_CAPSULE_FREESURFER


def _two_walls(gap):
    """Thalamus and putamen as two walls with white matter around and between them."""
    labels = np.full((40, 40, 40), 2, np.int64)
    labels[10:14, 10:30, 10:30] = 10
    labels[14 + gap : 18 + gap, 10:30, 10:30] = 12
    return labels


def test_the_capsule_is_the_white_matter_between_the_walls():
    labels = _two_walls(6)
    capsule = add_internal_capsule(labels, (1, 1, 1)) == LEFT
    assert capsule[14:20, 13:27, 13:27].all()
    assert not capsule[:10].any()
    assert not capsule[24:].any()
    assert (labels[capsule] == 2).all()


def test_walls_too_far_apart_enclose_nothing():
    assert not (add_internal_capsule(_two_walls(19), (1.5, 1.5, 1.5)) == LEFT).any()


def test_a_head_without_nuclei_has_no_capsule():
    labels = np.full((20, 20, 20), 2, np.int64)
    np.testing.assert_array_equal(add_internal_capsule(labels, (1, 1, 1)), labels)


def test_the_capsule_ends_at_the_upper_border_of_the_thalamus():
    labels = _two_walls(6)
    labels[14 + 6 : 18 + 6, 10:30, 30:36] = 12  # the putamen goes higher
    labels[10:14, 10:30, 30:36] = 11  # and so does the caudate above the thalamus
    capsule = add_internal_capsule(labels, (1, 1, 1)) == LEFT
    assert capsule[14:20, 13:27, 13:30].all()
    assert not capsule[..., 30:].any()


def test_in_front_of_the_thalamus_the_capsule_ends_at_the_upper_border_of_the_caudate():
    labels = _two_walls(6)
    labels[labels == 10] = 11
    capsule = add_internal_capsule(labels, (1, 1, 1)) == LEFT
    assert capsule[14:20, 13:27, 13:27].all()
    assert not capsule[..., 30:].any()


def test_on_real_label_maps_both_limbs_have_the_size_that_the_atlas_gives(data):
    """JHU: anterior limb 3.0, posterior 3.75 mL a side in MNI152, whose brain is 1.2 times that of these heads."""
    import SimpleITK as sitk
    from scipy import ndimage

    limbs = []
    for name in ("training_seg_01", "training_seg_06", "training_seg_16"):
        image = sitk.DICOMOrient(sitk.ReadImage(str(data / "label-maps" / f"{name}.nii.gz")), "LPS")
        before = np.rint(sitk.GetArrayFromImage(image).transpose()).astype(np.int64)
        box = ndimage.find_objects(np.isin(before, (10, 11, 12, 13, 49, 50, 51, 52)).astype(np.uint8))[0]
        before = before[tuple(slice(b.start - 8, b.stop + 8) for b in box)]
        after = add_internal_capsule(before, image.GetSpacing())
        assert (before[after != before] % 39 == 2).all()  # only white matter, 2 and 41, became capsule
        nearest = ndimage.distance_transform_edt(
            ~np.isin(before, (10, 11)), return_distances=False, return_indices=True
        )
        is_anterior = before[tuple(nearest)] == 11
        capsule = after == LEFT
        limbs.append(((capsule & is_anterior).sum() / 1000, (capsule & ~is_anterior).sum() / 1000))
        places = [np.argwhere(after == label).mean(axis=0) for label in (LEFT, RIGHT)]
        assert places[0][0] > places[1][0]
        assert (after == LEFT).sum() == pytest.approx((after == RIGHT).sum(), rel=0.35)
    assert np.mean(limbs, axis=0).sum() * 1.2 == pytest.approx(3.0 + 3.75, rel=0.15)
