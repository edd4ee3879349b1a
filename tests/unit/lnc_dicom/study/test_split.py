import copy

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from lnc_dicom.study.load import load
from lnc_dicom.study.read import read_study
from lnc_dicom.study.split import LEFT_OUT, PART_USED, split
from tests.enhanced import enhanced
from tests.factories import head, layout, write_series


@pytest.fixture
def images(tmp_path):
    paths = write_series(tmp_path / "made", *layout(*head((12, 10, 8)), (2, 1, 0), (1, 1, 1)))
    return [pydicom.dcmread(path) for path in paths]


def _write(folder, images, add=0, **changes):
    """Write copies with UIDs of their own; `add` changes their pixels."""
    folder.mkdir(exist_ok=True)
    for image in images:
        made = copy.deepcopy(image)
        made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for name, value in changes.items():
            setattr(made, name, value)
        made.PixelData = (made.pixel_array + np.uint16(add)).tobytes()
        made.save_as(folder / f"{made.SOPInstanceUID}.dcm", enforce_file_format=True)


def _parts(folder):
    (series,) = read_study([folder]).series
    return split(series)


def _codes(part):
    return [caveat.code for caveat in part.caveats]


def test_a_series_that_is_one_volume_is_given_back_as_it_is(tmp_path, images):
    _write(tmp_path / "s", images)
    (part,) = _parts(tmp_path / "s")
    assert (len(part.series.instances), part.caveats) == (8, ())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}),
        ({"EchoTime": 2}, {"EchoTime": 10}),
        ({"EchoNumbers": 1}, {"EchoNumbers": 2}),
        ({"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}),
        ({"AcquisitionTime": "100000"}, {"AcquisitionTime": "100500"}),
        ({"FlipAngle": 4}, {"FlipAngle": 20}),
    ],
)
def test_volumes_that_the_header_tells_apart_are_parts(tmp_path, images, first, second):
    _write(tmp_path / "s", images, **first)
    _write(tmp_path / "s", images, add=7, **second)
    parts = _parts(tmp_path / "s")
    assert [len(part.series.instances) for part in parts] == [8, 8]
    name = next(iter(first))
    assert [len({str(i.header[name].value) for i in part.series.instances}) for part in parts] == [1, 1]
    assert [_codes(part) for part in parts] == [[PART_USED], [PART_USED]]
    assert all(load(part.series)[0].shape == (8, 10, 12) for part in parts)


def test_repeats_that_only_their_order_tells_apart_are_parts(tmp_path, images):
    _write(tmp_path / "s", images)
    later = [copy.deepcopy(image) for image in images]
    for image in later:
        image.InstanceNumber += 8
    _write(tmp_path / "s", later, add=7)
    first, second = _parts(tmp_path / "s")
    assert sorted(int(i.header.InstanceNumber) for i in first.series.instances) == list(range(1, 9))
    assert sorted(int(i.header.InstanceNumber) for i in second.series.instances) == list(range(9, 17))


def test_repeats_that_nothing_tells_apart_stay_together(tmp_path, images):
    _write(tmp_path / "s", images)
    _write(tmp_path / "s", images, add=7)
    (part,) = _parts(tmp_path / "s")
    assert len(part.series.instances) == 16


@pytest.mark.parametrize("again", [8, 3])
def test_images_with_equal_pixels_at_one_place_are_used_once(tmp_path, images, again):
    _write(tmp_path / "s", images)
    _write(tmp_path / "s", images[:again])
    (part,) = _parts(tmp_path / "s")
    assert len(part.series.instances) == 8
    assert _codes(part) == [LEFT_OUT]
    assert str(again) in part.caveats[0].text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "ImageOrientationPatient"),
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "ImageType"),
        ({"PixelSpacing": [3, 3]}, "PixelSpacing"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
    ],
)
def test_an_odd_image_is_left_out_and_named(tmp_path, images, changes, why):
    _write(tmp_path / "s", images)
    _write(tmp_path / "s", images[:1], **changes)
    (part,) = _parts(tmp_path / "s")
    assert len(part.series.instances) == 8
    assert _codes(part) == [LEFT_OUT]
    assert why in part.caveats[0].text
    assert load(part.series)[0].shape == (8, 10, 12)


def test_of_two_acquisitions_a_whole_one_is_told_from_one_with_a_gap(tmp_path, images):
    _write(tmp_path / "s", images[:4] + images[5:], AcquisitionNumber=1)
    _write(tmp_path / "s", images, add=7, AcquisitionNumber=2)
    assert [len(part.series.instances) for part in _parts(tmp_path / "s")] == [7, 8]


def test_rounding_of_directions_does_not_part_a_volume(tmp_path, images):
    """Differences that lie on both sides of any rounding: 0.0050 ± 0.0001."""
    for n, image in enumerate(images):
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0.005 + (1e-4 if n % 2 else -1e-4)]
    _write(tmp_path / "s", images)
    _write(tmp_path / "s", images, add=7, EchoTime=10)
    assert [len(part.series.instances) for part in _parts(tmp_path / "s")] == [8, 8]


def test_several_multi_frame_images_are_parts(tmp_path, images):
    (tmp_path / "s").mkdir()
    for n in range(2):
        whole = enhanced(images)
        whole.save_as(tmp_path / "s" / f"{n}.dcm", enforce_file_format=True)
    assert [(len(p.series.instances), _codes(p)) for p in _parts(tmp_path / "s")] == [(1, [PART_USED])] * 2
