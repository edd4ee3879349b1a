"""One call, whatever the input: the same head gives the same numbers, and labels on its own grid."""

import shutil

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet

import lnc_dicom as lnc
from lnc_dicom.errors import NothingToMeasure, NotT1Contrast, PathMissing, TooCoarse, UnreadableImage
from lnc_dicom.study.nifti import volume_of
from tests.factories import head


def _volumes(result):
    return result.to_dataframe().volume_ml.tolist()


def test_a_file_an_image_and_a_volume_give_the_same(image, tmp_path):
    image.to_filename(tmp_path / "t1.nii.gz")
    from_file = lnc.segment(tmp_path / "t1.nii.gz")
    assert _volumes(from_file) == _volumes(lnc.segment(image)) == _volumes(lnc.segment(volume_of(image)))
    assert len(set(np.unique(from_file.labels.array))) == 15
    assert from_file.labels.shape == image.shape


def test_dicom_in_a_folder_a_zip_and_a_dicomdir_give_the_same(study, tmp_path):
    whole = _volumes(lnc.segment(study))
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", study)
    assert _volumes(lnc.segment(archive)) == whole
    medium = FileSet()
    for path in sorted(study.iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.StudyID = dataset.PatientID = "1"
        medium.add(dataset)
    medium.write(tmp_path / "medium")
    medium._stage["t"].cleanup()
    assert _volumes(lnc.segment(str(tmp_path / "medium" / "DICOMDIR"))) == whole
    assert _volumes(lnc.segment(lnc.read_study([study]))) == whole


def test_measure_gives_the_whole_report_of_a_study(study):
    result = lnc.measure(study)
    assert result.report.study.series
    assert result.report.biomarker is None
    assert _volumes(result) == _volumes(lnc.segment(study))


def test_the_functions_stay_after_the_packages_of_their_names_were_imported():
    import lnc_dicom.measure.gates
    import lnc_dicom.segment.load  # noqa: F401

    assert callable(lnc.segment)
    assert callable(lnc.measure)


def test_coarse_voxels_are_refused_with_their_size():
    array, lps_mm = head((16, 18, 20), (8, 7, 8))
    with pytest.raises(TooCoarse, match="8 x 7 x 8 mm"):
        lnc.segment(nib.Nifti1Image(array.astype(np.float32), np.diag([-1, -1, 1, 1]) @ lps_mm))


def test_another_contrast_is_refused_as_it_is_from_dicom(image):
    inverted = nib.Nifti1Image(image.get_fdata().max() - image.get_fdata(dtype=np.float32), image.affine)
    with pytest.raises(NotT1Contrast):
        lnc.segment(inverted)


def test_what_holds_nothing_or_too_much_says_so(image, tmp_path):
    with pytest.raises(PathMissing):
        lnc.segment(tmp_path / "nowhere.nii.gz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToMeasure):
        lnc.segment(tmp_path / "empty")
    for name in ("a.nii.gz", "b.nii.gz"):
        image.to_filename(tmp_path / "empty" / name)
    with pytest.raises(UnreadableImage, match="2 images"):
        lnc.segment(tmp_path / "empty")
    (tmp_path / "bad.zip").write_text("no archive")
    with pytest.raises(UnreadableImage, match="damaged"):
        lnc.segment(tmp_path / "bad.zip")
