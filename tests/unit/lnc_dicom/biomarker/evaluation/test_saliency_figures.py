import highdicom as hd
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from lnc_dicom.biomarker.evaluation.saliency_figures import draw_saliency, write_nifti
from lnc_dicom.predictions import Target
from tests.factories import LAYOUTS, BoxSegmenter, head, layout


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::9])
def test_a_nifti_file_has_the_geometry_of_the_volume(tmp_path, order, signs):
    volume = hd.Volume(*layout(*head(), order, signs), coordinate_system="PATIENT")
    write_nifti(tmp_path / "v.nii.gz", volume)
    image = sitk.ReadImage(str(tmp_path / "v.nii.gz"))
    for index in ((0, 0, 0), (5, 20, 30)):
        place = volume.affine[:3, :3] @ index + volume.affine[:3, 3]
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), place, atol=1e-3)
        assert image[index] == pytest.approx(float(volume.array[index]))


def test_saliency_is_drawn_in_colour_where_it_is_high(tmp_path):
    volume = hd.Volume(*head(), coordinate_system="PATIENT")
    labels = BoxSegmenter()(volume).labels
    hot = volume.with_array((labels.array == 3).astype(np.float32))
    cold = volume.with_array(np.zeros(volume.shape, np.float32))
    for name, one in (("hot", hot), ("cold", cold)):
        draw_saliency(tmp_path / f"{name}.png", volume, labels, {Target.FA: one}, "test")
    hot_page, cold_page = (np.asarray(Image.open(tmp_path / f"{n}.png").convert("RGB"), int) for n in ("hot", "cold"))
    changed = (np.abs(hot_page - cold_page).sum(axis=2) > 30).nonzero()
    assert len(changed[0]) > 200
    assert (np.ptp(cold_page, axis=2) < 12).mean() > 0.99  # grey where nothing is hot
