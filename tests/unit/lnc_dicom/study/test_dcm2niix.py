import numpy as np
import pydicom
import pytest

from lnc_dicom.errors import UnreadableSeries
from lnc_dicom.study import dcm2niix
from lnc_dicom.study.dcm2niix import convert
from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Instance, Series
from tests.factories import LAYOUTS, head, layout, write_series


@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::7])
def test_the_converted_array_has_the_place_of_the_dicom_images(tmp_path, order, signs):
    array, lps_mm = head(shape=(20, 24, 28))
    write_series(tmp_path, *layout(array, lps_mm, order, signs))
    (series,) = read_study([tmp_path]).series
    converted, (volume, _) = convert(series), load(series)
    back = volume.inverse_affine @ converted.lps_mm
    index = np.indices(converted.array.shape[:3]).reshape(3, -1)
    place = np.rint(back[:3, :3] @ index + back[:3, 3:]).astype(int)
    assert np.array_equal(volume.array[tuple(place)], converted.array[..., 0].ravel())


@pytest.mark.slow
def test_directions_are_those_of_the_header_in_lps(data):
    (series,) = read_study([data / "siemens-xa30-enhanced" / "10_DWI_dir80_PA"]).series
    converted = convert(series)
    told = {}
    for instance in series.instances:
        header = pydicom.dcmread(instance.path, stop_before_pixels=True)
        macro = header.PerFrameFunctionalGroupsSequence[0].MRDiffusionSequence[0]
        if "DiffusionGradientDirectionSequence" in macro:
            direction = macro.DiffusionGradientDirectionSequence[0].DiffusionGradientOrientation
            told[int(header.InstanceNumber)] = np.array(direction)
    expected = np.array([told[n] for n in sorted(told)])
    cosines = np.abs((expected * converted.directions[1:]).sum(axis=1))
    assert cosines.min() > 0.999
    assert converted.b_values.tolist() == [0.0] + 20 * [2500.0]


def test_files_that_are_not_images_are_refused_by_code(tmp_path):
    paths = write_series(tmp_path)
    (series,) = read_study([tmp_path]).series
    (tmp_path / "x").write_bytes(b"not DICOM")
    assert len(paths) == len(series.instances)
    with pytest.raises(UnreadableSeries):
        convert(Series(series.uid, (Instance(tmp_path / "x", series.header),)))


@pytest.mark.parametrize("first_axis_mm", [2.0, -2.0])
def test_b_vectors_are_converted_to_lps_whichever_way_the_first_axis_runs_and_whatever_the_voxel_size(first_axis_mm):
    """FSL flips the first component where the array is right-handed (det > 0 in RAS)."""
    directions = dcm2niix.in_lps(np.eye(3), np.diag([first_axis_mm, 3.0, 5.0, 1.0]))
    np.testing.assert_allclose(directions, np.diag([1.0, -1.0, 1.0]), atol=1e-12)


@pytest.mark.parametrize("spoiled", [".nii", ".json"])
def test_output_that_cannot_be_read_is_refused_by_code(tmp_path, monkeypatch, spoiled):
    """A RescaleIntercept of nan or a SliceThickness of inf ends in such files."""
    convert_with_program = dcm2niix._run

    def run_and_spoil(*args):
        made = convert_with_program(*args)
        for path in made.glob(f"*{spoiled}"):
            path.write_bytes(b'{"a": nan' if spoiled == ".json" else path.read_bytes()[:100])
        return made

    monkeypatch.setattr(dcm2niix, "_run", run_and_spoil)
    write_series(tmp_path)
    with pytest.raises(UnreadableSeries):
        convert(read_study([tmp_path]).series[0])
