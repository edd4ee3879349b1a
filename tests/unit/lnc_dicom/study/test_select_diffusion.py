"""Which series hold diffusion, whoever made the scanner, and what gradients and FA come out: generated images."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import generate_uid

from lnc_dicom.maps.fa import fa_map
from lnc_dicom.options import DiffusionOptions
from lnc_dicom.study.dcm2niix import convert
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import select
from lnc_dicom.types import Role
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
    "Canon": lambda s, **a: d.images(s, d.canon, **a),
    "Toshiba": lambda s, **a: d.images(s, d.toshiba, **a),
}


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
    found = fa_map(selection.map_series, DiffusionOptions(correct_motion=False))
    to_scan = np.linalg.inv(SCAN.lps_mm) @ found.values.affine
    index = np.indices(found.values.shape).reshape(3, -1)
    z, y, x = np.rint(to_scan[:3, :3] @ index + to_scan[:3, 3:]).astype(int)
    values, names = found.values.array.ravel(), SCAN.names[z, y, x]
    return {name: float(np.nanmean(values[names == name])) for name in d.EIGENVALUES}


def _expected():
    """An independent fit to what the scanner measured."""
    fa = d.independent_fa(SCAN.signal.astype(float), SCAN.b, SCAN.g)
    return {name: float(fa[SCAN.names == name].mean()) for name in d.EIGENVALUES}


@pytest.mark.parametrize("vendor", VENDORS)
def test_fa_of_every_vendor_is_that_of_an_independent_fit(tmp_path, vendor):
    selection = _study(tmp_path, VENDORS[vendor](SCAN))
    assert set(selection.map_series) == {Role.DIFFUSION}
    assert _fa_by_tissue(selection) == pytest.approx(_expected(), abs=0.01)


@pytest.mark.parametrize("vendor", VENDORS)
def test_directions_of_every_vendor_are_those_of_the_patient(tmp_path, vendor):
    """One reflection of all directions is allowed: FA is the same, and a gradient is its own opposite."""
    selection = _study(tmp_path, VENDORS[vendor](SCAN))
    converted = convert(selection.map_series[Role.DIFFUSION])
    weighted = converted.b_values > 0
    assert weighted.sum() == 12
    cosines = np.abs((converted.directions[weighted] * SCAN.g[1:]).sum(axis=1))
    assert cosines.min() > 0.999


OF_EVERY_KIND = ("Siemens VB, single images", "Siemens VB, mosaics", "Philips R2.5", "GE", "UIH", "Canon", "Toshiba")


def _numbers(selection, role=Role.DIFFUSION):
    return sorted(int(part.header.SeriesNumber) for part in selection.map_series[role].parts)


@pytest.mark.parametrize("vendor", OF_EVERY_KIND)
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
@pytest.mark.parametrize("vendor", ["siemens", "philips_before_public", "philips", "ge", "uih", "canon"])
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
