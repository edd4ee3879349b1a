import io
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from lnc_dicom.encode.parametric_map import parametric_maps
from lnc_dicom.encode.provenance import Provenance
from tests.factories import LAYOUTS, NOW, head, layout
from tests.unit.lnc_dicom.encode.conftest import make_report

FILES = ("map-saliency.dcm", "map-fa.dcm", "map-cbf.dcm")


def _saliency(report):
    return np.mean([one.array for one in report.biomarker.saliency.values()], axis=0, dtype=np.float32)


def test_saliency_fa_and_cbf_are_written_each_in_a_series_of_its_own(everything):
    found = [everything.datasets[name] for name in FILES]
    assert len({d.SeriesInstanceUID for d in found}) == len({d.SeriesNumber for d in found}) == 3
    quantities = [
        d.SharedFunctionalGroupsSequence[0]
        .RealWorldValueMappingSequence[0]
        .QuantityDefinitionSequence[0]
        .ConceptCodeSequence[0]
        .CodeValue
        for d in found
    ]
    assert quantities == ["130403", "110808", "126390"]


@pytest.mark.parametrize("name", FILES)
def test_every_source_slice_has_a_frame_of_float32(everything, name):
    found = everything.datasets[name]
    assert found.NumberOfFrames == len(everything.report.sources)
    assert "FloatPixelData" in found
    assert found.BitsAllocated == 32
    assert found.SharedFunctionalGroupsSequence[0].FrameAnatomySequence[0].FrameLaterality == "U"


def test_saliency_comes_back_value_by_value_through_highdicom(everything):
    found = hd.pm.ParametricMap.from_dataset(everything.datasets["map-saliency.dcm"])
    volume = found.get_volume(apply_real_world_transform=False).match_geometry(everything.report.volume)
    np.testing.assert_array_equal(volume.array.astype(np.float32), _saliency(everything.report))


@pytest.mark.parametrize(("name", "factor"), [("map-fa.dcm", 0.8), ("map-cbf.dcm", 60.0)])
def test_a_map_lies_on_the_t1_where_its_alignment_says(everything, name, factor):
    """The map of the fixture grows along the last axis of the T1, on a grid that is moved against the head."""
    found = hd.pm.ParametricMap.from_dataset(everything.datasets[name])
    volume = found.get_volume(apply_real_world_transform=False).match_geometry(everything.report.volume)
    expected = factor * np.indices(volume.shape)[2] / volume.shape[2]
    np.testing.assert_allclose(volume.array[2:-2, 2:-2, 2:-2], expected[2:-2, 2:-2, 2:-2], atol=1e-4 * factor)


@pytest.mark.parametrize("name", FILES)
def test_dcmqi_reads_the_same_values(everything, program, tmp_path, name):
    (tmp_path / "in.dcm").write_bytes(everything.data[name])
    command = [program("paramap2itkimage"), "--inputDICOM", tmp_path / "in.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*command, "-t", "nrrd"], check=True, capture_output=True)
    theirs = _read_nrrd(next(tmp_path.glob("*.nrrd")))
    ours = hd.pm.ParametricMap.from_dataset(everything.datasets[name]).get_volume(apply_real_world_transform=False)
    index = np.indices(ours.shape).reshape(3, -1).T
    place = theirs.inverse_affine @ ours.affine @ np.column_stack([index, np.ones(len(index))]).T
    np.testing.assert_allclose(place[:3], np.rint(place[:3]), atol=0.01)
    values = theirs.array[tuple(np.rint(place[:3]).astype(int))]
    np.testing.assert_array_equal(values.astype(np.float32), ours.array.ravel().astype(np.float32))


def _read_nrrd(path):
    """ITK's axes run (x, y, z), its coordinates are LPS."""
    image = sitk.ReadImage(str(path))
    lps_mm = np.eye(4)
    lps_mm[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps_mm[:3, 3] = image.GetOrigin()
    return hd.Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), lps_mm, coordinate_system="PATIENT")


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::9])
def test_every_value_is_where_it_was_found(tmp_path, order, signs):
    """Read by attributes, as a viewer does: every frame at its own position."""
    report = make_report(tmp_path, *layout(*head((40, 42, 84), (1.9, 1.9, 1.9)), order, signs))
    name, dataset = next(parametric_maps(report, Provenance(report, NOW)))
    assert name == "map-saliency.dcm"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    found = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    shared, expected = found.SharedFunctionalGroupsSequence[0], _saliency(report)
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    for frame, pixels in zip(found.PerFrameFunctionalGroupsSequence, found.pixel_array, strict=True):
        rows, columns = (a.ravel() for a in np.indices(pixels.shape))
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        mm = position + np.outer(columns * spacing[1], axes[:3]) + np.outer(rows * spacing[0], axes[3:])
        index = report.volume.inverse_affine @ np.column_stack([mm, np.ones(len(mm))]).T
        np.testing.assert_array_equal(expected[tuple(np.rint(index[:3]).astype(int))], pixels.ravel())
