import io
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.seg.binary import segmentation
from lnc_dicom.encode.seg.labelmap import labelmap
from lnc_dicom.pipeline import analyse
from lnc_dicom.study.nifti import read_nifti
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.factories import LAYOUTS, NOW, BoxSegmenter, head, layout, write_series


@pytest.fixture
def seg(everything):
    return everything.datasets["labelmap.dcm"]


def test_it_is_an_8_bit_label_map_in_rle(seg):
    assert seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert seg.SegmentationType == "LABELMAP"
    assert seg.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
    assert (seg.BitsAllocated, seg.PhotometricInterpretation) == (8, "MONOCHROME2")


def test_segments_count_from_one_in_their_own_places_and_the_background_comes_last(seg):
    numbers = [s.SegmentNumber for s in seg.SegmentSequence]
    assert numbers == [*(s.label for s in STRUCTURES), 0]
    assert seg.PixelPaddingValue == 0
    assert [s.SegmentLabel for s in seg.SegmentSequence][:-1] == [s.title for s in STRUCTURES]
    assert all(len(s.RecommendedDisplayCIELabValue) == 3 for s in seg.SegmentSequence[:-1])


def test_its_segments_are_those_of_the_binary_segmentation(seg, everything):
    binary = everything.datasets["segmentation.dcm"]
    assert list(seg.SegmentSequence)[:-1] == list(binary.SegmentSequence)


def test_the_labels_come_back_voxel_by_voxel_through_highdicom(seg, everything):
    volume = hd.seg.Segmentation.from_dataset(seg).get_volume(combine_segments=True)
    labels = everything.report.labels
    np.testing.assert_array_equal(volume.match_geometry(labels).array, labels.array)


def _at_lps(volume):
    """Labels with their places: (n, 4), sorted."""
    index = np.argwhere(volume.array)
    mm = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    found = np.round(np.column_stack([mm, volume.array[tuple(index.T)]]), 1) + 0.0
    return found[np.lexsort(found.T)]


def test_dcmqi_reads_the_same_voxels(everything, program, tmp_path):
    (tmp_path / "in.dcm").write_bytes(everything.data["labelmap.dcm"])
    command = [program("segimage2itkimage"), "--inputDICOM", tmp_path / "in.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*command, "--mergeSegments", "-t", "nii"], check=True, capture_output=True)
    theirs = read_nifti(next(tmp_path.glob("*.nii*")))
    np.testing.assert_allclose(_at_lps(theirs), _at_lps(everything.report.labels), atol=0.11)


@pytest.mark.slow
@pytest.mark.parametrize(("order", "signs"), LAYOUTS[::5])
def test_every_voxel_is_where_it_was_measured(tmp_path, order, signs):
    """Read by attributes, as a viewer does: every frame at its own position."""
    write_series(tmp_path, *layout(*head((40, 42, 84), (1.9, 1.9, 1.9)), order, signs))
    report = analyse(read_study([tmp_path]), Tools(BoxSegmenter(), NOW))
    provenance = Provenance(report, NOW)
    buffer = io.BytesIO()
    labelmap(report, provenance, segmentation(report, provenance)).save_as(buffer, enforce_file_format=True)
    seg = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    shared = seg.SharedFunctionalGroupsSequence[0]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    spacing = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    places = []
    for frame, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        rows, columns = np.nonzero(pixels)
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        mm = position + np.outer(columns * spacing[1], axes[:3]) + np.outer(rows * spacing[0], axes[3:])
        places.append(np.column_stack([mm, pixels[rows, columns]]))
    found = np.round(np.concatenate(places), 1) + 0.0
    np.testing.assert_allclose(found[np.lexsort(found.T)], _at_lps(report.labels), atol=0.11)
