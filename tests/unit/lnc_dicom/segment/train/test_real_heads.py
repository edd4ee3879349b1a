import dataclasses

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import torch

from lnc_dicom.anatomy import MIRRORED_LABELS, STRUCTURES
from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.segment.train.real_heads import augment, bend_contrast, find_heads, load_real_head, load_real_heads
from lnc_dicom.segment.train.stages import LABEL
from tests.factories import boxes, head

CONFIG = dataclasses.replace(LABEL.synthesis, shape=(48, 48, 48), spacing_mm=2.5)
STILL = dataclasses.replace(CONFIG, rotation_deg=0.0, scale=0.0, shear=0.0, cut_chance=0.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A head with boxes for nuclei, written with its axes turned."""
    folder = tmp_path_factory.mktemp("real")
    array, lps_mm = head((80, 96, 80), (2.0, 2.0, 2.0))
    labels = np.zeros(array.shape, np.int32)
    for s, inside in boxes(array.shape, lps_mm):
        labels[inside] = s.freesurfer
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_mm
    for name, content in (("images", array.astype(np.float32)), ("labels", labels)):
        (folder / name).mkdir()
        image = nib.Nifti1Image(content, affine)
        nib.save(nib.as_closest_canonical(image), folder / name / "somebody.nii.gz")
    return folder


@pytest.fixture(scope="module")
def somebody(files):
    return load_real_heads(files / "images", files / "labels")[0]


def test_a_head_is_read_in_the_patients_axes_with_our_labels(somebody):
    assert somebody.name == "somebody"
    assert set(np.unique(somebody.codes)) <= {0, *(s.label for s in STRUCTURES)}
    left, right = (np.argwhere(somebody.codes == n).mean(axis=0) for n in (3, 4))
    assert left[0] > right[0]
    assert somebody.spacing_mm == (2.0, 2.0, 2.0)


def test_the_same_seed_gives_the_same_image(somebody):
    one, other = (augment(somebody, CONFIG, Rng(3)) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert not torch.equal(one[0], augment(somebody, CONFIG, Rng(4))[0])


@pytest.mark.parametrize("seed", range(4))
def test_shares_add_up_to_one_and_the_image_is_normalised(somebody, seed):
    image, target = augment(somebody, CONFIG, Rng(seed))
    assert image.shape == (1, *CONFIG.shape)
    assert target.shape == (len(STRUCTURES) + 1, *CONFIG.shape)
    torch.testing.assert_close(target.float().sum(0), torch.ones(CONFIG.shape), atol=2e-2, rtol=0)
    assert 0 <= float(image.min()) <= float(image.max()) <= 1.5


def test_left_stays_left_when_a_head_is_mirrored(somebody):
    for seed in range(6):
        target = augment(somebody, STILL, Rng(seed))[1].argmax(0).numpy()
        both = [n for n in (3, 5, 7) if (target == n).any() and (target == MIRRORED_LABELS[n]).any()]
        for n in both:
            assert np.argwhere(target == n).mean(0)[0] > np.argwhere(target == MIRRORED_LABELS[n]).mean(0)[0]


def test_a_bent_contrast_still_rises():
    ramp = torch.linspace(0, 1.4, 200)
    for seed in range(20):
        bent = bend_contrast(ramp, Rng(seed))
        assert (bent[1:] > bent[:-1] - 1e-6).all()
        assert float(bent[0]) == pytest.approx(0, abs=1e-6)


def test_labels_must_lie_on_the_grid_of_the_image(files, tmp_path):
    volume = hd.Volume(np.zeros((4, 4, 4), np.float32), np.eye(4), coordinate_system="PATIENT")
    nib.save(nib.Nifti1Image(volume.array, volume.affine), tmp_path / "other.nii.gz")
    with pytest.raises(UnusableInput, match="not on the grid"):
        load_real_head(files / "images" / "somebody.nii.gz", tmp_path / "other.nii.gz")


def test_an_unknown_name_of_a_head_is_refused(somebody):
    assert find_heads([somebody], ["somebody"]) == [somebody]
    with pytest.raises(UnusableInput, match="no real head is called nobody"):
        find_heads([somebody], ["nobody"])
