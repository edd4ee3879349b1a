"""Whatever way the slices lie: segments and outlines are where the voxels are, on the image that they name."""

import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
from matplotlib.path import Path as Polygon
from scipy import ndimage
from scipy.spatial.transform import Rotation

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode import encode
from lnc_dicom.encode.sr.outline import Placement, largest_filled, trace
from lnc_dicom.report import Report
from lnc_dicom.study.load import load
from lnc_dicom.study.nifti import read_nifti
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import Measurement, Segmented
from lnc_service.demo.sample import mr_series
from tests.enhanced import enhanced
from tests.factories import MODEL, NOW, head, layout, write_series

AXIAL, SAGITTAL, CORONAL = (2, 1, 0), (0, 2, 1), (1, 2, 0)
UP = (1, 1, 1)
POSITIONS = {
    "axial": (AXIAL, UP, None),
    "axial from above": (AXIAL, (-1, 1, 1), None),
    "sagittal": (SAGITTAL, (1, -1, 1), None),
    "sagittal from the right": (SAGITTAL, (-1, -1, 1), None),
    "coronal": (CORONAL, (1, -1, 1), None),
    "prone": (AXIAL, (1, -1, -1), None),
    "decubitus, left side down": ((2, 0, 1), (1, -1, 1), None),
    "decubitus, right side down": ((2, 0, 1), (1, 1, -1), None),
    "feet first": (AXIAL, (-1, 1, -1), None),
    "mirrored pixels": (AXIAL, (1, 1, -1), None),
    "oblique": (AXIAL, UP, (12, -7, 5)),
    "oblique sagittal, negative spacing": (SAGITTAL, (-1, -1, 1), (-9, 11, 14)),
}


def _balls(volume):
    """Label balls that are not alike on any two sides of themselves, around the middle of a grid."""
    labels = np.zeros(volume.shape, np.uint8)
    to_mm = volume.affine[:3, :3]
    mm = (np.moveaxis(np.indices(volume.shape), 0, -1) - (np.array(volume.shape) - 1) / 2) @ to_mm.T
    for s in STRUCTURES:
        x, y, z = np.moveaxis(mm - _centre_mm(s), -1, 0)
        labels[(x**2 + y**2 + z**2 < 7.5**2) & ~((x > 0) & (y < 0) & (z > 0))] = s.label
    return volume.with_array(labels)


def _centre_mm(structure):
    row = (structure.label - 1) // 2
    return np.array([15 if structure.label % 2 else -15, 20 * (row % 3 - 1), 16 * (row // 3 - 1)])


def _images(position):
    order, signs, turn_deg = POSITIONS[position]
    array, lps_mm = layout(*head((48, 52, 50), (2.0, 1.75, 1.9)), order, signs)
    if turn_deg is not None:
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
        lps_mm = turn @ lps_mm
    return array, lps_mm


@pytest.fixture(scope="module", params=[(p, many) for p in POSITIONS for many in (False, True)], ids=str)
def made(request, tmp_path_factory):
    position, many = request.param
    folder = tmp_path_factory.mktemp("study")
    array, lps_mm = _images(position)
    if many:
        frames = np.random.default_rng(1).permutation(len(array))
        enhanced(mr_series(array, lps_mm, NOW), frames).save_as(folder / "all.dcm", enforce_file_format=True)
    else:
        write_series(folder, array, lps_mm)
    report = _report(read_study([folder]))
    out = tmp_path_factory.mktemp("out")
    for item in encode(report, NOW):
        (out / item.name).write_bytes(item.data)
    return report, out, folder


def _report(study):
    """Measure balls; no gate is asked, for the images show no head."""
    selection = select(study)
    volume, sources = load(selection.chosen)
    labels = _balls(volume)
    voxels = np.bincount(labels.array.ravel())
    volumes = voxels * volume.voxel_volume / 1000
    found = tuple(Measurement(s, int(voxels[s.label]), float(volumes[s.label])) for s in STRUCTURES)
    return Report(study, selection, sources, volume, Segmented(labels, {}), found, (), (), MODEL)


def _in_mm(volume):
    index = np.argwhere(volume.array)
    mm = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return np.column_stack([mm, volume.array[tuple(index.T)]])


def _assert_same_voxels(found, expected):
    """Every voxel of ours has the same label at its place in theirs, and theirs has no other."""
    points = _in_mm(expected)
    place = points[:, :3] @ found.inverse_affine[:3, :3].T + found.inverse_affine[:3, 3]
    assert np.abs(place - np.rint(place)).max() < 0.01
    np.testing.assert_array_equal(found.array[tuple(np.rint(place).astype(int).T)], points[:, 3])
    assert int((found.array > 0).sum()) == len(points)


@pytest.mark.slow
def test_the_segments_lie_on_the_source_for_highdicom(made):
    report, out, _ = made
    found = hd.seg.segread(out / "segmentation.dcm").get_volume(combine_segments=True)
    _assert_same_voxels(found, report.segmented.labels)


@pytest.mark.slow
def test_the_segments_lie_on_the_source_for_dcmqi(made, program, tmp_path):
    report, out, _ = made
    command = [program("segimage2itkimage"), "--inputDICOM", out / "segmentation.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*command, "--mergeSegments", "-t", "nii"], check=True, capture_output=True)
    _assert_same_voxels(read_nifti(next(tmp_path.glob("*.nii*"))), report.segmented.labels)


def _source_frames(folder):
    """Give every source image by UID and frame: position, axes and spacing, read without our code."""
    frames = {}
    for path in folder.glob("*.dcm"):
        image = pydicom.dcmread(path)
        if "NumberOfFrames" not in image:
            at = (image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing)
            frames[image.SOPInstanceUID, None] = at
            continue
        shared = image.SharedFunctionalGroupsSequence[0]
        for i, groups in enumerate(image.PerFrameFunctionalGroupsSequence, start=1):
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            axes = shared.PlaneOrientationSequence[0].ImageOrientationPatient
            frames[image.SOPInstanceUID, i] = (position, axes, shared.PixelMeasuresSequence[0].PixelSpacing)
    return {key: [np.array(v, float) for v in value] for key, value in frames.items()}


def _outlines(out):
    """Give the outline of every structure: title, (UID, frame), points in columns and rows, area."""
    content = hd.sr.srread(out / "measurements.dcm").content
    for group in content.get_planar_roi_measurement_groups():
        reference = group.roi.ContentSequence[0].ReferencedSOPSequence[0]
        frame = reference.get("ReferencedFrameNumber")
        (area,) = group.get_measurements()
        where = (reference.ReferencedSOPInstanceUID, None if frame is None else int(frame))
        yield group.tracking_identifier, where, group.roi.value, area.value


def _count_wrong_pixels(labels, label, frame, points):
    """Pixels of the image that are inside the outline but not in the structure, or the other way round."""
    position, axes, spacing = frame
    shape = (max(labels.shape),) * 2
    rows, columns = (grid.ravel() for grid in np.indices(shape))
    mm = position + np.outer(columns * spacing[1], axes[:3]) + np.outer(rows * spacing[0], axes[3:])
    index = np.rint(mm @ labels.inverse_affine[:3, :3].T + labels.inverse_affine[:3, 3]).astype(int)
    inside_grid = ((index >= 0) & (index < labels.shape)).all(axis=1)
    truth = np.zeros(len(mm), bool)
    truth[inside_grid] = labels.array[tuple(index[inside_grid].T)] == label
    components, count = ndimage.label(truth.reshape(shape))  # a pixel that hangs on by a corner is not in the outline
    largest = components == (np.bincount(components.ravel())[1:].argmax() + 1 if count else 1)
    truth = ndimage.binary_fill_holes(largest).ravel()  # a hole is part of what the outline encloses
    drawn = Polygon(points).contains_points(np.column_stack([columns + 0.5, rows + 0.5]))
    return int((truth != drawn).sum()), int(truth.sum())


@pytest.mark.slow
def test_every_outline_encloses_the_pixels_of_its_structure_on_the_image_that_it_names(made):
    report, out, folder = made
    frames, labels = _source_frames(folder), report.segmented.labels
    found = list(_outlines(out))
    assert [title for title, *_ in found] == [s.title for s in STRUCTURES]
    assert len({where for _, where, *_ in found}) == len(found)
    shares = []
    for structure, (_, where, points, area) in zip(STRUCTURES, found, strict=True):
        wrong, inside = _count_wrong_pixels(labels, structure.label, frames[where], points)
        assert wrong == 0
        assert area == pytest.approx(inside * np.prod(frames[where][2]), abs=0.06)
        shares.append(inside / (labels.array == structure.label).sum(axis=(1, 2)).max())
        shifted, _ = _count_wrong_pixels(labels, structure.label, frames[where], points + [2, 0])
        assert shifted > 0  # the test would see an outline that is 2 px off
    assert np.mean(shares) > 0.65  # of the largest slice: on sagittal images seven balls share eight slices


@pytest.mark.slow
def test_an_outline_on_another_slice_would_be_seen(made):
    report, out, folder = made
    frames = _source_frames(folder)
    title, where, points, _ = next(_outlines(out))
    normal = np.cross(frames[where][1][:3], frames[where][1][3:])
    far = max(frames, key=lambda key: abs(float((frames[key][0] - frames[where][0]) @ normal)))
    wrong, _ = _count_wrong_pixels(report.segmented.labels, STRUCTURES[0].label, frames[far], points)
    assert title == STRUCTURES[0].title
    assert wrong > 0


@pytest.mark.slow
def test_every_frame_of_the_segmentation_names_the_image_that_it_lies_on(made):
    _, out, folder = made
    frames = _source_frames(folder)
    for group in pydicom.dcmread(out / "segmentation.dcm").PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        frame = source.get("ReferencedFrameNumber")
        position, *_ = frames[source.ReferencedSOPInstanceUID, None if frame is None else int(frame)]
        np.testing.assert_allclose(group.PlanePositionSequence[0].ImagePositionPatient, position, atol=0.01)


def test_an_outline_is_that_of_the_largest_component_without_its_holes():
    mask = np.zeros((12, 12), bool)
    mask[1:7, 1:7] = True
    mask[3, 3] = False
    mask[10, 10] = True
    component = largest_filled(mask)
    assert component.sum() == 36
    line = trace(component)
    np.testing.assert_array_equal(line[0], line[-1])
    assert line.min() == 0.5
    assert line.max() == 6.5


def test_components_that_touch_at_a_corner_are_two():
    mask = np.zeros((4, 4), bool)
    mask[:2, :2] = mask[2, 2] = True
    assert largest_filled(mask).sum() == 4


def test_a_label_without_voxels_has_no_outline_but_a_point_in_the_middle():
    array, lps_mm = _images("axial")
    images = list(mr_series(array, lps_mm, NOW))
    empty = hd.Volume(np.zeros(array.shape, np.uint8), lps_mm, "PATIENT")
    placement = Placement(empty, images)
    assert placement.outline(3) is None
    place = placement.place(3)
    np.testing.assert_allclose(place.point, [[array.shape[2] / 2, array.shape[1] / 2]], atol=0.51)
