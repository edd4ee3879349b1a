import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from lnc_dicom.errors import UnknownScale, UnreadableSeries
from lnc_dicom.maps.vendor_map import SCALE_ASSUMED, VendorMap, load_map, to_cbf, to_fa
from lnc_dicom.study.read import read_study
from lnc_dicom.types import Series
from tests.enhanced import enhanced
from tests.factories import write_series


def _map(high, unit=""):
    array = np.linspace(0, high, 1000, dtype=np.float32).reshape(10, 10, 10)
    return VendorMap(hd.Volume(array, np.eye(4), "PATIENT"), unit)


def test_fa_up_to_1_is_unchanged_and_background_becomes_nan():
    values, caveats = to_fa(_map(0.9))
    assert caveats == ()
    assert np.isnan(values.array[0, 0, 0])
    assert np.nanmax(values.array) == pytest.approx(0.9)


def test_fa_times_1000_is_divided_with_a_caveat():
    values, caveats = to_fa(_map(1000))
    assert np.nanmax(values.array) == pytest.approx(1)
    assert [c.code for c in caveats] == [SCALE_ASSUMED]


@pytest.mark.parametrize("high", [0.0, 10.0, 4095.0])
def test_fa_of_another_range_is_refused(high):
    with pytest.raises(UnknownScale):
        to_fa(_map(high))


@pytest.mark.parametrize(
    ("unit", "high", "factor"), [("ml/[100]g/min", 5.0, 1), ("ml/min/g", 1.0, 100), ("", 100.0, 1), ("1", 100.0, 1)]
)
def test_cbf_is_brought_to_its_unit(unit, high, factor):
    values, caveats = to_cbf(_map(high, unit))
    assert np.nanmax(values.array) == pytest.approx(high * factor)
    assert bool(caveats) == (unit in {"", "1"})


@pytest.mark.parametrize(("unit", "high"), [("", 4095.0), ("", 1.0), ("s", 100.0)])
def test_cbf_with_an_unknown_unit_is_refused(unit, high):
    with pytest.raises(UnknownScale):
        to_cbf(_map(high, unit))


def test_the_fa_map_of_a_real_scanner_is_scaled_to_1(data):
    (series,) = read_study([data / "siemens-xa30-enhanced" / "13_DWI_dir80_PA"]).series
    found = load_map(series)
    values, _ = to_fa(found)
    assert found.volume.array.max() == 1000
    assert np.nanmax(values.array) == 1


def test_a_map_in_which_a_slice_is_missing_is_refused_by_code(data):
    (series,) = read_study([data / "philips-ingenia-3t" / "pcasl"]).series
    ordered = sorted(series.instances, key=lambda i: i.header.ImagePositionPatient[2])
    with pytest.raises(UnreadableSeries):
        load_map(Series(series.uid, tuple(ordered[:10] + ordered[11:])))


SHAPE = (6, 5, 4)
FLOW = np.linspace(10, 80, np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
"""CBF in ml/100 g/min, axes (slice, row, column)."""
REAL_SLOPE, REAL_INTERCEPT = 0.05, -3.0


def _mapping(slope=REAL_SLOPE, intercept=REAL_INTERCEPT, last=65535):
    unit = Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "ml/[100]g/min", "UCUM", "ml/100 g/min"
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = slope, intercept
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, last
    mapping.LUTLabel, mapping.LUTExplanation = "CBF", "CBF"
    mapping.MeasurementUnitsCodeSequence = [unit]
    return mapping


def _rescale(i):
    """Slope and intercept of slice i, as a scanner chooses them to fill the range of every slice."""
    return {"RescaleSlope": str(round(1 / (1 + 0.2 * i), 6)), "RescaleIntercept": str(i), "RescaleType": "US"}


def _store(dataset, i, real_slope=REAL_SLOPE):
    """Put the flow of slice i into an image whose two transforms, of stored values, have nothing in common."""
    dataset.PixelData = np.round((FLOW[i] - REAL_INTERCEPT) / real_slope).astype(np.uint16).tobytes()
    for name, value in _rescale(i).items():
        setattr(dataset, name, value)


def _series(folder, real_slopes=(REAL_SLOPE,) * SHAPE[0], last=65535):
    """Single-frame images, each with rescale and real-world mapping of its own."""

    def change(dataset):
        i = dataset.InstanceNumber - 1
        _store(dataset, i, real_slopes[i])
        dataset.RealWorldValueMappingSequence = [_mapping(real_slopes[i], last=last)]

    write_series(folder, np.ones(SHAPE, np.float32), np.diag([3.0, 2.0, 2.0, 1.0]), change)
    (series,) = read_study([folder]).series
    return series


def _multiframe(folder):
    """One enhanced image whose frames have a pixel value transformation each; the real-world mapping is shared."""
    images = [pydicom.dcmread(i.path) for i in sorted(_series(folder).instances, key=lambda i: i.path)]
    whole = enhanced(images)
    shared = whole.SharedFunctionalGroupsSequence[0]
    del shared.PixelValueTransformationSequence, whole.RealWorldValueMappingSequence
    del whole.RescaleSlope, whole.RescaleIntercept, whole.RescaleType
    shared.RealWorldValueMappingSequence = [_mapping()]
    for i, frame in enumerate(whole.PerFrameFunctionalGroupsSequence):
        transform = Dataset()
        for name, value in _rescale(i).items():
            setattr(transform, name, value)
        frame.PixelValueTransformationSequence = [transform]
    target = folder / "enhanced"
    target.mkdir()
    whole.save_as(target / "map.dcm", enforce_file_format=True)
    (series,) = read_study([target]).series
    return series


def _by_place(volume):
    """Values in the order of the slices' positions, whatever the order of the axes."""
    turned = volume.to_patient_orientation("LPS")
    expected = hd.Volume(FLOW, np.diag([3.0, 2.0, 2.0, 1.0]), "PATIENT").to_patient_orientation("LPS")
    return turned.array, expected.array


def test_the_rescale_of_the_slices_does_not_enter_real_world_values(tmp_path):
    found = load_map(_series(tmp_path))
    np.testing.assert_allclose(*_by_place(found.volume), atol=REAL_SLOPE)
    assert found.unit == "ml/[100]g/min"


def test_every_slice_has_a_real_world_mapping_of_its_own(tmp_path):
    found = load_map(_series(tmp_path, [REAL_SLOPE * (1 + 0.1 * i) for i in range(SHAPE[0])]))
    np.testing.assert_allclose(*_by_place(found.volume), atol=2 * REAL_SLOPE)


def test_the_rescale_of_the_frames_does_not_enter_real_world_values(tmp_path):
    found = load_map(_multiframe(tmp_path))
    np.testing.assert_allclose(*_by_place(found.volume), atol=REAL_SLOPE)
    assert found.unit == "ml/[100]g/min"


def test_without_real_world_values_every_slice_is_rescaled_by_its_own_slope(tmp_path):
    def change(dataset):
        i = dataset.InstanceNumber - 1
        rescale = _rescale(i)
        stored = (FLOW[i] - float(rescale["RescaleIntercept"])) / float(rescale["RescaleSlope"])
        dataset.PixelData = np.round(stored).astype(np.uint16).tobytes()
        for name, value in rescale.items():
            setattr(dataset, name, value)

    write_series(tmp_path, np.ones(SHAPE, np.float32), np.diag([3.0, 2.0, 2.0, 1.0]), change)
    found = load_map(read_study([tmp_path]).series[0])
    np.testing.assert_allclose(*_by_place(found.volume), atol=0.6)
    assert found.unit == ""


def test_a_map_with_values_beyond_its_mapping_is_refused(tmp_path):
    with pytest.raises(UnreadableSeries):
        load_map(_series(tmp_path, last=500))
