"""A result is a NIfTI, a table and a picture."""

import nibabel as nib
import numpy as np
import pytest

import lnc_dicom as lnc


@pytest.fixture
def result(image):
    return lnc.segment(image)


def test_the_nifti_has_the_grid_of_the_input(result, image, tmp_path):
    result.to_nifti(tmp_path / "new" / "labels.nii.gz")
    written = nib.load(tmp_path / "new" / "labels.nii.gz")
    assert written.shape == image.shape
    assert np.array_equal(written.affine, image.affine)
    assert np.array_equal(np.asarray(written.dataobj), result.labels.array)


def test_the_table_has_a_row_per_structure_with_interval_and_gate(result):
    table = result.to_dataframe()
    assert table.shape[0] == len(lnc.STRUCTURES)
    assert (table.volume_low_ml < table.volume_ml).all()
    assert (table.volume_ml < table.volume_high_ml).all()
    assert table.passed.all()
    assert set(table.side) == {"left", "right"}


def test_doubt_is_the_mean_half_width_of_the_intervals(result):
    assert result.doubt == pytest.approx(np.sinh(0.1))
    assert "14 structures, doubt 0.10" in repr(result)
    assert "caudate" in result._repr_html_()


def test_the_picture_is_drawn_and_saved(result, tmp_path):
    figure = result.plot(tmp_path / "head.png")
    assert (tmp_path / "head.png").stat().st_size > 10_000
    assert "caudate" in figure.legends[0].get_texts()[0].get_text()
