"""Which series hold diffusion, whoever made the scanner, and what gradients and FA come out: generated images."""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from lnc_dicom.errors import OneBValue, TooFewDirections, UnreadableSeries, WrongGradients
from lnc_dicom.maps.fa import fa_map, fit
from lnc_dicom.options import DiffusionOptions
from lnc_dicom.study import select_diffusion
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.dcm2niix import convert
from lnc_dicom.study.gradients import gradients
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import Reason, Role
from tests import diffusion as d
from tests.factories import write_series

SCAN = d.scan()
VENDORS = {
    "Siemens VB, single images": lambda s, **a: d.images(s, d.siemens, **a),
    "Siemens VB, mosaics": d.siemens_mosaic,
    "Philips R2.5": lambda s, **a: d.images(s, d.philips_before_public, **a),
    "Philips R5": lambda s, **a: d.images(s, d.philips, **a),
    "Philips enhanced": d.enhanced,
    "GE": lambda s, **a: d.images(s, d.ge, **a),
    "UIH": lambda s, **a: d.images(s, d.uih, **a),
    "UIH, grids": d.uih_grid,
    "Canon": lambda s, **a: d.images(s, d.canon, **a),
    "Toshiba": lambda s, **a: d.images(s, d.toshiba, **a),
}


def first_is_quick(vendors):
    """Leave only the first vendor to the quick tests, and all of them to `make test`."""
    first, *others = vendors
    return [first, *(pytest.param(vendor, marks=pytest.mark.slow) for vendor in others)]


def _study(folder, *groups):
    """A T1 and series of images, each group one series."""
    study = generate_uid()
    write_series(folder / "t1", study_uid=study)
    for number, made in enumerate(groups, start=5):
        for image in made:
            image.StudyInstanceUID = study
        d.write(folder / str(number), made, number)
    return select(read_study([folder]))


def _fa_by_tissue(selection):
    """The mean of every tissue in our FA map, whatever way its axes run."""
    found = fa_map(selection.map_series, DiffusionOptions(correct_motion=False, denoise=False))
    to_scan = np.linalg.inv(SCAN.lps_mm) @ found.values.affine
    index = np.indices(found.values.shape).reshape(3, -1)
    z, y, x = np.rint(to_scan[:3, :3] @ index + to_scan[:3, 3:]).astype(int)
    values, names = found.values.array.ravel(), SCAN.names[z, y, x]
    return {name: float(np.nanmean(values[names == name])) for name in d.EIGENVALUES}


def _expected():
    """An independent fit to what the scanner measured."""
    fa = d.independent_fa(SCAN.signal.astype(float), SCAN.b, SCAN.g)
    return {name: float(fa[SCAN.names == name].mean()) for name in d.EIGENVALUES}


@pytest.mark.accepts("Siemens VB", "DTI", "single images, mosaics", "generated")
@pytest.mark.accepts("Philips R2.5, R5", "DTI", "single-frame", "generated")
@pytest.mark.accepts("Philips", "DTI", "enhanced", "generated")
@pytest.mark.accepts("GE", "DTI", "single images", "generated")
@pytest.mark.accepts("UIH", "DTI", "single images, grids", "generated")
@pytest.mark.accepts("Canon", "DTI", "single images", "generated")
@pytest.mark.accepts("Toshiba", "DTI", "single images", "generated")
@pytest.mark.parametrize("vendor", first_is_quick(VENDORS))
def test_fa_of_every_vendor_is_that_of_an_independent_fit(tmp_path, vendor):
    selection = _study(tmp_path, VENDORS[vendor](SCAN))
    assert set(selection.map_series) == {Role.DIFFUSION}
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.parametrize("vendor", first_is_quick(VENDORS))
def test_directions_of_every_vendor_are_those_of_the_patient(tmp_path, vendor):
    """One reflection of all directions is allowed: FA is the same, and a gradient is its own opposite."""
    selection = _study(tmp_path, VENDORS[vendor](SCAN))
    converted = convert(selection.map_series[Role.DIFFUSION])
    weighted = converted.b_values > 0
    assert weighted.sum() == 12
    cosines = np.abs((converted.directions[weighted] * SCAN.g[1:]).sum(axis=1))
    assert cosines.min() > 0.999


OF_EVERY_KIND = (
    "Siemens VB, single images",
    "Siemens VB, mosaics",
    "Philips R2.5",
    "GE",
    "UIH",
    "UIH, grids",
    "Canon",
    "Toshiba",
)


def _numbers(selection, role=Role.DIFFUSION):
    return sorted(int(part.header.SeriesNumber) for part in selection.map_series[role].parts)


@pytest.mark.parametrize("vendor", first_is_quick(OF_EVERY_KIND))
def test_b_0_in_a_series_of_its_own_is_joined(tmp_path, vendor):
    make = VENDORS[vendor]
    selection = _study(tmp_path, make(SCAN.part([0])), make(SCAN.part(slice(1, None))))
    assert _numbers(selection) == [5, 6]
    assert selection.passed_over == ()
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", OF_EVERY_KIND)
def test_one_series_per_volume_is_one_acquisition(tmp_path, vendor):
    selection = _study(tmp_path, *(VENDORS[vendor](SCAN.part([v])) for v in range(len(SCAN.b))))
    assert _numbers(selection) == list(range(5, 18))
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


def _computed(made, image_type):
    """Images like the last volume, but the mean over directions, without a direction."""
    slices = len(SCAN.signal[0])
    images = [copy.deepcopy(image) for image in made[-slices:]]
    for image, pixels in zip(images, SCAN.signal[1:].mean(axis=0).astype(np.uint16), strict=True):
        image.ImageType, image.PixelData = image_type, pixels.tobytes()
        image.InstanceNumber = int(image.InstanceNumber) + slices
        for tag in (0x00189089, 0x0019100E, 0x00651037, 0x00204000):
            image.pop(tag, None)
        for tag in (0x200510B0, 0x200510B1, 0x200510B2, 0x001910BB, 0x001910BC, 0x001910BD):
            if tag in image:
                image[tag].value = 0.0
        if "DiffusionBValue" in image:
            image.DiffusionDirectionality = "ISOTROPIC"
    return images


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize(
    "kind", [["DERIVED", "PRIMARY", "TRACEW"], ["DERIVED", "PRIMARY", "ADC"], ["ORIGINAL", "PRIMARY"]]
)
@pytest.mark.parametrize(
    "vendor", first_is_quick(["siemens", "philips_before_public", "philips", "ge", "uih", "canon"])
)
def test_computed_images_in_the_series_are_left_out_wherever_they_sort(tmp_path, vendor, kind, is_first):
    made = d.images(SCAN, getattr(d, vendor))
    computed = _computed(made, kind)
    selection = _study(tmp_path, computed + made if is_first else made + computed)
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


def test_isotropic_frames_of_an_enhanced_image_are_left_out(tmp_path):
    trace = SCAN.signal[1:].mean(axis=0, keepdims=True).astype(np.uint16)
    more = replace(
        SCAN,
        signal=np.concatenate([SCAN.signal, trace]),
        b=np.append(SCAN.b, 1000.0),
        g=np.vstack([SCAN.g, np.zeros(3)]),
    )
    assert _fa_by_tissue(_study(tmp_path, d.enhanced(more))) == pytest.approx(_expected(), abs=0.01)


def test_of_two_b_0_series_the_one_with_the_same_phase_encoding_is_joined(tmp_path):
    """The other, of reversed polarity, is distorted the other way."""
    reversed_b0 = SCAN.part([0, 0])
    selection = _study(
        tmp_path,
        d.siemens_mosaic(reversed_b0, forward=False, SeriesDescription="dti_PA"),
        d.siemens_mosaic(SCAN.part([0, 0]), SeriesDescription="dti_AP"),
        d.siemens_mosaic(SCAN.part(slice(1, None)), SeriesDescription="dti_AP_dir"),
    )
    converted = convert(selection.map_series[Role.DIFFUSION])
    assert (converted.b_values == 0).sum() == 2
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


def test_b_0_of_reversed_polarity_alone_is_no_b_0_of_the_series(tmp_path):
    selection = _study(
        tmp_path,
        d.siemens_mosaic(SCAN.part([0, 0]), forward=False, SeriesDescription="dti_PA"),
        d.siemens_mosaic(SCAN.part(slice(1, None)), SeriesDescription="dti_AP"),
    )
    with pytest.raises(OneBValue):
        fa_map(selection.map_series, DiffusionOptions(correct_motion=False, denoise=False))


def test_a_series_with_a_tensor_needs_nothing_of_the_others(tmp_path):
    selection = _study(tmp_path, d.siemens_mosaic(SCAN.part([0, 0]), forward=False), d.siemens_mosaic(SCAN))
    assert _numbers(selection) == [6]
    assert [reason for _, reason in selection.passed_over] == [Reason.OTHER_DIFFUSION]


def test_more_directions_count_more_than_more_volumes(tmp_path):
    few = SCAN.part([0, *range(1, 7), *range(1, 7), *range(1, 7)])
    assert _numbers(_study(tmp_path, d.images(few, d.siemens), d.images(SCAN, d.siemens))) == [6]


def test_a_head_is_preferred_to_a_spine_with_more_directions(tmp_path):
    few = SCAN.part(range(9))
    selection = _study(tmp_path, d.images(SCAN, d.siemens, BodyPartExamined="CSPINE"), d.images(few, d.siemens))
    assert _numbers(selection) == [6]


def test_a_corrected_series_is_used_where_there_is_no_other(tmp_path):
    made = d.images(SCAN, d.canon, ImageType=["DERIVED", "PRIMARY", "DIFFUSION"])
    assert _fa_by_tissue(_study(tmp_path, made)) == pytest.approx(_expected(), abs=0.01)


def test_a_series_as_acquired_is_preferred_to_a_corrected_one(tmp_path):
    corrected = d.images(SCAN, d.canon, ImageType=["DERIVED", "PRIMARY", "DIFFUSION"])
    assert _numbers(_study(tmp_path, corrected, d.images(SCAN.part(range(9)), d.canon))) == [6]


WITHOUT_TENSOR = {
    "gradients removed": (lambda: d.images(SCAN, lambda *_: None, SeriesDescription="ep2d_diff_12"), WrongGradients),
    "b = 0 alone": (lambda: d.siemens_mosaic(SCAN.part([0])), WrongGradients),
    "weighted alone": (lambda: d.images(SCAN.part(range(1, 13)), d.ge), OneBValue),
    "three directions": (lambda: d.images(SCAN.part(range(4)), d.uih), TooFewDirections),
    "no positions": (lambda: _without_positions(d.images(SCAN, d.philips)), UnreadableSeries),
}


def _without_positions(made):
    for image in made:
        del image.ImagePositionPatient
    return made


@pytest.mark.parametrize("why", WITHOUT_TENSOR)
def test_diffusion_without_a_tensor_is_not_passed_over_without_a_word(tmp_path, why):
    make, error = WITHOUT_TENSOR[why]
    with pytest.raises(error):
        fa_map(_study(tmp_path, make()).map_series, DiffusionOptions(correct_motion=False, denoise=False))


def test_echo_planar_images_without_b_values_are_no_diffusion(tmp_path):
    selection = _study(tmp_path, d.images(SCAN, lambda *_: None, SeriesDescription="se_fieldmap"))
    assert selection.map_series == {}


def test_a_private_attribute_that_is_no_number_is_no_b_value(tmp_path):
    def odd(image, _b, _g):
        image.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "UN", b"abc")

    assert _study(tmp_path, d.images(SCAN, odd, SeriesDescription="x")).map_series == {}


def test_where_the_scanners_map_cannot_be_used_fa_comes_from_the_tensor(tmp_path):
    unscaled = d.images(SCAN.part([0]), d.siemens, ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "FA"])
    selection = _study(tmp_path, unscaled, d.images(SCAN, d.siemens))
    assert set(selection.map_series) == {Role.FA_MAP, Role.FA_REGISTRATION}
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.parametrize("name", ["ep2d_bold_rest", "epfid2d1_64"])
def test_functional_series_are_not_converted(tmp_path, name, monkeypatch):
    def never(*_args, **_kwargs):
        pytest.fail("a functional series was converted")

    monkeypatch.setattr(select_diffusion, "convert", never)
    assert _study(tmp_path, d.images(SCAN, lambda *_: None, SeriesDescription=name)).map_series == {}


@pytest.mark.accepts("Philips Ingenia, Achieva", "DTI", "single-frame", "real")
@pytest.mark.accepts("Siemens XA", "DTI", "enhanced", "real")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "least_r"),
    [
        ("data/philips-ingenia-3t/dti", 0.97),
        ("data/siemens-xa30-enhanced/10_DWI_dir80_PA", 0.93),
        ("cases/philips-dti-with-trace/files", 0.97),
    ],
)
def test_fa_of_real_images_is_near_that_of_an_independent_fit(data, folder, least_r):
    """Weighted and unweighted least squares differ where the signal is noise: fluid at b = 2500 s/mm²."""
    found = [(series, attributes_of(series)) for series in read_study([data.parent / folder]).series]
    converted = convert(select_diffusion.diffusion_series(found)[0])
    b_values, directions = gradients(converted, 3500)
    array, b_values = converted.array[..., b_values >= 0], b_values[b_values >= 0]
    ours = fit(array, b_values, directions)
    inside = np.isfinite(ours)
    theirs = np.clip(d.independent_fa(np.moveaxis(array, 3, 0)[:, inside], b_values, directions), 0, 1)
    assert np.corrcoef(ours[inside], theirs)[0, 1] > least_r
    assert abs((ours[inside] - theirs).mean()) < 0.01


@pytest.mark.parametrize("vendor", first_is_quick(["siemens", "philips", "ge", "uih", "canon"]))
def test_images_that_were_sent_again_under_new_uids_change_nothing(tmp_path, vendor):
    made = d.images(SCAN, getattr(d, vendor))
    selection = _study(tmp_path, made + copy.deepcopy(made))
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.parametrize(
    ("missing", "said"), [([40], "77 .* 6 places: images are missing"), (range(2, 78, 6), "a gap of 8.0 mm")]
)
def test_missing_images_are_named(tmp_path, missing, said):
    """dcm2niix closes a gap in silence."""
    made = [image for i, image in enumerate(d.images(SCAN, d.philips)) if i not in missing]
    with pytest.raises(UnreadableSeries, match=said):
        _fa_by_tissue(_study(tmp_path, made))


def test_b_values_of_frames_are_enough(tmp_path):
    (whole,) = d.enhanced(SCAN)
    whole.ImageType, whole.AcquisitionContrast = ["ORIGINAL", "PRIMARY", "M_SE", "M"], "UNKNOWN"
    whole.ScanningSequence, whole.SeriesDescription, whole.PulseSequenceName = "SE", "x", "SE"
    assert _fa_by_tissue(_study(tmp_path, [whole])) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.slow
def test_enhanced_images_of_xa_sent_as_one_series_per_volume_are_one_acquisition(data, tmp_path):
    """dcm2niix finds no b-value in one such object alone."""
    for number, path in enumerate(sorted((data / "siemens-xa30-enhanced" / "10_DWI_dir80_PA").iterdir()), start=1):
        image = pydicom.dcmread(path)
        image.SeriesInstanceUID, image.SeriesNumber = generate_uid(), number
        image.InstanceNumber = image.AcquisitionNumber = 1
        image.save_as(tmp_path / path.name)
    found = [(series, attributes_of(series)) for series in read_study([tmp_path]).series]
    (series,) = select_diffusion.diffusion_series(found)
    assert len(series.parts) == 21
    assert convert(series).b_values.tolist() == [0.0] + 20 * [2500.0]


def test_the_reference_lists_every_kind_that_is_tested():
    text = (Path(__file__).parents[4] / "docs/reference/diffusion.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (.*?) \| .* \| \.799 / \.799 \|", text, re.MULTILINE) == list(VENDORS)
