import subprocess

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import JPEGBaseline8Bit, RLELossless, generate_uid

from lnc_dicom.errors import DoubledSlices, MissingSlices, UnevenSlices, UnsupportedTransferSyntax
from lnc_dicom.study.load import load, load_with_repairs
from lnc_dicom.study.read import read_study
from tests.enhanced import enhanced
from tests.factories import LAYOUTS, head, layout, write_series


def _load(folder):
    return load(read_study([folder]).series[0])


def test_a_series_becomes_a_volume_with_the_affine_it_was_written_with(tmp_path):
    array, lps_mm = layout(*head(), (2, 1, 0), (-1, 1, 1))
    write_series(tmp_path, array, lps_mm)
    volume, headers = _load(tmp_path)
    np.testing.assert_allclose(volume.affine, lps_mm, atol=1e-5)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array, array * 4000 / array.max(), atol=0.51)
    assert len(headers) == len(array)
    assert all("PixelData" not in header for header in headers)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::5])
def test_a_voxel_stays_at_its_place_however_the_axes_lie(tmp_path, order, signs):
    array, lps_mm = head()
    write_series(tmp_path, *layout(array, lps_mm, order, signs))
    volume, _ = _load(tmp_path)
    back = volume.to_patient_orientation("LPS")
    np.testing.assert_allclose(back.affine, lps_mm, atol=1e-5)
    np.testing.assert_allclose(back.array, array * 4000 / array.max(), atol=0.51)


def test_the_modality_transform_is_applied(tmp_path):
    def rescale(dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "2", "-7", "US"

    write_series(tmp_path / "plain")
    write_series(tmp_path / "scaled", change=rescale)
    plain, scaled = (_load(tmp_path / name)[0].array for name in ("plain", "scaled"))
    np.testing.assert_allclose(scaled, plain * 2 - 7)


def test_a_missing_slice_is_reported_with_its_place(tmp_path):
    paths = write_series(tmp_path)
    paths[41].unlink()
    with pytest.raises(MissingSlices, match=r"gap of 4\.0 mm after slice 41, expected 2\.0 mm"):
        _load(tmp_path)


def test_a_duplicated_slice_is_refused(tmp_path):
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[5])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    dataset.save_as(tmp_path / "double.dcm")
    with pytest.raises(DoubledSlices, match="1 of 81"):
        _load(tmp_path)


def test_uneven_slices_are_refused(tmp_path):
    def wobble(dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, float(z) + (0.4 if dataset.InstanceNumber == 20 else 0)]

    write_series(tmp_path, change=wobble)
    with pytest.raises(UnevenSlices, match=r"up to 0\.40 mm from 2\.00 mm"):
        _load(tmp_path)


def test_rounded_positions_count_as_even(tmp_path):
    def rounded(dataset):
        dataset.ImagePositionPatient = [round(float(x) + 0.00497, 2) for x in dataset.ImagePositionPatient]

    write_series(tmp_path, change=rounded)
    assert _load(tmp_path)[0].shape == (80, 72, 64)


def test_gantry_tilt_is_refused(tmp_path):
    def lean(dataset):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + 0.5 * dataset.InstanceNumber, z]

    write_series(tmp_path, change=lean)
    with pytest.raises(UnevenSlices, match="tilt"):
        _load(tmp_path)


def _with_dcmtk(program, option, path):
    subprocess.run([program("dcmcjpeg"), option, path, path], check=True)


def _with_gdcm(syntax, path):
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["JPEG lossless", "JPEG lossless SV1", "JPEG 2000 lossless", "RLE"])
def test_lossless_encodings_give_the_same_voxels(tmp_path, program, encoding):
    paths = write_series(tmp_path)
    expected, _ = _load(tmp_path)
    for path in paths:
        match encoding:
            case "JPEG lossless":
                _with_dcmtk(program, "+el", path)
            case "JPEG lossless SV1":
                _with_dcmtk(program, "+e1", path)
            case "JPEG 2000 lossless":
                _with_gdcm(gdcm.TransferSyntax.JPEG2000Lossless, path)
            case "RLE":
                dataset = pydicom.dcmread(path)
                dataset.compress(RLELossless)
                dataset.save_as(path)
    assert pydicom.dcmread(paths[0]).file_meta.TransferSyntaxUID.is_compressed
    volume, _ = _load(tmp_path)
    np.testing.assert_array_equal(volume.array, expected.array)


@pytest.mark.parametrize(
    ("syntax", "name"),
    [(JPEGBaseline8Bit, "JPEG Baseline"), (pydicom.uid.UID("1.2.840.113619.5.2"), r"private \(1\.2\.840\.113619")],
)
def test_other_encodings_are_refused_by_name(tmp_path, syntax, name):
    def pretend(dataset):
        dataset.file_meta.TransferSyntaxUID = syntax

    write_series(tmp_path)
    series = read_study([tmp_path]).series[0]
    pretend(series.instances[0].header)
    with pytest.raises(UnsupportedTransferSyntax, match=name):
        load(series)


def _mapped(dataset):
    """Give an image a real-world mapping that a T1 has no use for."""
    mapping, unit = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "1", "UCUM", "no units"
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 100.0, 3.0
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 65535
    mapping.LUTLabel, mapping.LUTExplanation = "x", "x"
    dataset.RealWorldValueMappingSequence = [mapping]


def test_real_world_values_are_taken_only_where_they_are_asked_for(tmp_path):
    write_series(tmp_path, change=_mapped)
    (series,) = read_study([tmp_path]).series
    stored, real = load(series)[0].array, load(series, real_world=True)[0].array
    np.testing.assert_allclose(real, 3 * stored + 100, rtol=1e-6)


def test_one_object_with_frames_is_a_series_and_two_are_refused(tmp_path):
    images = [pydicom.dcmread(path) for path in write_series(tmp_path / "classic")]
    (tmp_path / "enhanced").mkdir()
    whole = enhanced(images)
    whole.save_as(tmp_path / "enhanced" / "0.dcm", enforce_file_format=True)
    assert sum(_load(tmp_path / "enhanced")[0].shape) == sum(_load(tmp_path / "classic")[0].shape)
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    whole.save_as(tmp_path / "enhanced" / "1.dcm", enforce_file_format=True)
    with pytest.raises(DoubledSlices):
        _load(tmp_path / "enhanced")


def test_images_whose_directions_and_spacing_differ_by_rounding_share_those_of_the_first(tmp_path):
    def rounded(dataset):
        noise = 1e-5 * (dataset.InstanceNumber % 2)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, noise]
        dataset.PixelSpacing = [1.75 + noise, 2]

    write_series(tmp_path, change=rounded)
    _, headers = _load(tmp_path)
    assert len({str(h.ImageOrientationPatient) for h in headers}) == len({str(h.PixelSpacing) for h in headers}) == 1


def test_a_header_with_geometry_alone_is_read_and_completed_from_it(tmp_path):
    absent = ("SliceThickness", "FrameOfReferenceUID", "PatientPosition", "StudyID", "Manufacturer", "StudyDate")

    def bare(dataset):
        for name in absent:
            delattr(dataset, name)

    write_series(tmp_path, change=bare)
    _, headers, repairs = load_with_repairs(read_study([tmp_path]).series[0])
    assert {float(h.SliceThickness) for h in headers} == {2.0}
    assert any(repair.startswith("SliceThickness") for repair in repairs)


@pytest.mark.parametrize("frames", ["1", "0", "x"])
def test_a_single_frame_image_may_say_how_many_frames_it_has(tmp_path, frames):
    paths = write_series(tmp_path)
    for path in paths:
        dataset = pydicom.dcmread(path)
        tag = Tag("NumberOfFrames")
        value = f"{frames} ".encode()
        dataset._dict[tag] = RawDataElement(tag, "IS", 2, value, 0, is_implicit_VR=False, is_little_endian=True)
        dataset.save_as(path)
    assert _load(tmp_path)[0].shape == (80, 72, 64)


def test_multi_frame_images_need_no_shared_groups(tmp_path):
    whole = enhanced([pydicom.dcmread(path) for path in write_series(tmp_path / "classic")])
    for frame in whole.PerFrameFunctionalGroupsSequence:
        frame.update(whole.SharedFunctionalGroupsSequence[0])
    del whole.SharedFunctionalGroupsSequence
    (tmp_path / "enhanced").mkdir()
    whole.save_as(tmp_path / "enhanced" / "0.dcm", enforce_file_format=True)
    volume, headers = _load(tmp_path / "enhanced")
    assert sorted(volume.shape) == sorted(_load(tmp_path / "classic")[0].shape)
    assert headers[0].SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [1.75, 2]


def test_a_part_of_a_concatenation_is_refused_by_name(tmp_path):
    whole = enhanced([pydicom.dcmread(path) for path in write_series(tmp_path / "classic")])
    whole.ConcatenationUID = generate_uid()
    (tmp_path / "enhanced").mkdir()
    whole.save_as(tmp_path / "enhanced" / "0.dcm", enforce_file_format=True)
    with pytest.raises(MissingSlices, match="ConcatenationUID"):
        _load(tmp_path / "enhanced")
