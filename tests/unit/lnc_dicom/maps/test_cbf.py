import copy
import dataclasses
import shutil

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from lnc_dicom.errors import UnknownScale, UnsupportedLabelling
from lnc_dicom.maps.asl_timing import ASSUMED, Timing
from lnc_dicom.maps.cbf import cbf_map, quantify, relative_cbf_map
from lnc_dicom.maps.labelling import Labelling, read_labelling
from lnc_dicom.options import PerfusionOptions
from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_maps import map_series_of
from lnc_dicom.types import Role
from tests import perfusion
from tests.enhanced import enhanced
from tests.perfusion import CBF, PASL_2D, PASL_3D, PCASL_2D, continuous, head, pairs, pulsed

XA30 = "siemens-xa30-enhanced/25_asl_2d_tra"
PHILIPS = "philips-ingenia-3t/pcasl-source"


def _labelling(difference, m0, tr_ms=None):
    m0 = hd.Volume(np.full((2, 2, 2), m0, np.float32), np.eye(4), "PATIENT")
    return Labelling(np.full((2, 2, 2), difference, np.float32), m0, tr_ms, 1)


def _timing(kind, duration_ms, delay_ms):
    return Timing(kind, duration_ms, np.full((1, 1, 1), float(delay_ms)))


def _cbf(labelling, timing, **settings):
    return quantify(labelling, timing, PerfusionOptions(**settings))[0]


def test_a_short_tr_of_m0_lowers_cbf_and_a_long_one_does_not():
    timing = _timing("PCASL", 1800, 1800)
    long, short = (_cbf(_labelling(1.0, 100.0, tr), timing).mean() for tr in (6000, 2000))
    assert long == _cbf(_labelling(1.0, 100.0), timing).mean()
    assert short / long == pytest.approx(1 - np.exp(-2000 / 1330), rel=1e-5)


@pytest.mark.parametrize(("name", "change"), [("partition_coefficient", 1.8), ("blood_t1_ms", 1400.0)])
def test_every_constant_is_a_setting(name, change):
    timing = _timing("PCASL", 1800, 1800)
    plain = _cbf(_labelling(1.0, 100.0), timing)
    assert not np.allclose(_cbf(_labelling(1.0, 100.0), timing, **{name: change}), plain)


def test_the_loss_by_background_suppression_is_taken_into_account_where_there_was_any():
    timing = _timing("PCASL", 1800, 1800)
    plain = _labelling(1.0, 100.0)
    suppressed = dataclasses.replace(plain, suppressed=True)
    ratio = _cbf(suppressed, timing).mean() / _cbf(plain, timing).mean()
    assert ratio == pytest.approx(1 / 0.83, rel=1e-5)


@pytest.mark.accepts("Philips", "ASL", "single-frame, 3D pCASL", "real")
@pytest.mark.slow
def test_cbf_outside_the_head_is_nan(data):
    (series,) = read_study([data / PHILIPS]).series
    found = cbf_map({Role.LABELLING: series}, PerfusionOptions())
    assert np.isnan(found.values.array[0, 0]).all()
    assert 0.2 < np.isfinite(found.values.array).mean() < 0.8


@pytest.mark.slow
def test_a_relative_map_is_unchanged_and_registered_by_m0_of_the_labelling(data):
    (relative,) = read_study([data / "siemens-xa30-enhanced" / "28_asl_2d_tra"]).series
    (series,) = read_study([data / XA30]).series
    found = relative_cbf_map({Role.RELATIVE_CBF_MAP: relative, Role.LABELLING: series})
    stored = pydicom.dcmread(relative.instances[0].path)
    expected = stored.pixel_array.astype(float) * 2.00024 - 4096
    assert np.sort(found.values.array.ravel()) == pytest.approx(np.sort(expected.ravel()), abs=0.1)
    assert np.array_equal(found.registration_image.array, read_labelling(series, None, None).m0.array)
    assert not found.registers_itself


def test_without_a_series_there_is_no_map():
    assert cbf_map({}, PerfusionOptions()) is None
    assert relative_cbf_map({}) is None


SLICE_MS = [45.0 * k for k in range(perfusion.SHAPE[0])]
SLICE_S = np.array(SLICE_MS) / 1000
LONG_TR = {"RepetitionTime": 6000}


def _set(**values):
    def change(dataset, _):
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def _measured(folder):
    """CBF as the pipeline finds it: the series chosen among all, then the map."""
    used, _ = map_series_of([(s, attributes_of(s)) for s in read_study([folder]).series])
    found = cbf_map(used, PerfusionOptions())
    return found, found.values.array[np.isfinite(found.values.array)]


@pytest.mark.accepts("Siemens VE", "ASL", "2D PASL, mosaics; M0 in the series or beside it", "generated")
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("order", ["m0 first", "m0 last", "label first", "m0 of its own"])
def test_pulsed_2d_mosaics_give_the_known_cbf(tmp_path, order, repeats):
    found = pairs(pulsed(1.8 + SLICE_S), repeats)
    volumes = {"m0 first": [head(), *found], "m0 last": [*found, head()], "label first": [head(), *found[::-1]]}
    change = _set(SeriesNumber=3, SeriesDescription="Perfusion", **LONG_TR)
    mosaics = volumes.get(order, found)
    perfusion.write_mosaics(tmp_path / "a", mosaics, protocol=PASL_2D, slice_ms=SLICE_MS, change=change)
    if order == "m0 of its own":
        change = _set(SeriesNumber=4, SeriesDescription="Perfusion Referenz", **LONG_TR)
        perfusion.write_mosaics(tmp_path / "b", [head()], protocol=PASL_2D, slice_ms=SLICE_MS, change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.02)
    assert cbf.method.startswith("PASL, single compartment")
    assert ASSUMED not in {c.code for c in cbf.caveats}


@pytest.mark.accepts("Siemens VE", "ASL", "3D PASL, mosaics, M0 in a series of its own", "generated")
def test_pulsed_3d_mosaics_with_m0_of_their_own_give_the_known_cbf(tmp_path):
    change = _set(SeriesNumber=11, SeriesDescription="pasl_3d", MRAcquisitionType="3D", **LONG_TR)
    perfusion.write_mosaics(tmp_path / "a", pairs(pulsed(1.99)), protocol=PASL_3D, change=change)
    change = _set(SeriesNumber=13, SeriesDescription="pasl_3d_m0", MRAcquisitionType="3D", **LONG_TR)
    perfusion.write_mosaics(tmp_path / "b", [head(), head()], protocol=PASL_3D, change=change)
    assert _measured(tmp_path)[1] == pytest.approx(CBF, rel=0.02)


def test_mosaics_each_in_a_series_of_its_own_give_the_known_cbf(tmp_path):
    for n, volume in enumerate([head(), *pairs(continuous(1.8 + SLICE_S), 2)]):
        change = _set(SeriesNumber=9 + n, SeriesDescription="pcasl_2d", AcquisitionNumber=n + 1, **LONG_TR)
        folder = tmp_path / str(n)
        perfusion.write_mosaics(folder, [volume], protocol=PCASL_2D, slice_ms=SLICE_MS, change=change)
    assert _measured(tmp_path)[1] == pytest.approx(CBF, rel=0.02)


@pytest.mark.accepts("Siemens VE", "ASL", "2D pCASL, mosaics, M0 of its own (mosaic or slices)", "generated")
@pytest.mark.parametrize("m0_as_single_slices", [False, True])
def test_continuous_2d_mosaics_with_m0_of_their_own_give_the_known_cbf(tmp_path, m0_as_single_slices):
    change = _set(SeriesNumber=9, SeriesDescription="pcasl_2d")
    found = pairs(continuous(1.8 + SLICE_S))
    perfusion.write_mosaics(tmp_path / "a", found, protocol=PCASL_2D, slice_ms=SLICE_MS, change=change)
    change = _set(SeriesNumber=10, SeriesDescription="pcasl_2d_m0", RepetitionTime=2000)
    relaxed = head() * (1 - np.exp(-2000 / 1330))
    if m0_as_single_slices:
        perfusion.write_volumes(tmp_path / "b", [relaxed], series_uid="1.2.3", study_uid="1.2.5", change=change)
    else:
        perfusion.write_mosaics(tmp_path / "b", [relaxed], protocol=PCASL_2D, change=change)
    assert _measured(tmp_path)[1] == pytest.approx(CBF, rel=0.02)


@pytest.mark.accepts("Siemens VE", "ASL", "3D pCASL, mosaics, background suppressed", "generated")
def test_suppressed_continuous_3d_mosaics_give_the_known_cbf(tmp_path):
    change = _set(SeriesNumber=15, SeriesDescription="pcasl_3d", MRAcquisitionType="3D", **LONG_TR)
    found = pairs(continuous(1.8, efficiency=0.85 * 0.83), level=0.1)
    perfusion.write_mosaics(tmp_path, [head(), *found], protocol=PCASL_2D, change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.02)
    assert [c.code for c in cbf.caveats if "suppression" in c.text] == [ASSUMED]


@pytest.mark.accepts("Siemens XA", "ASL", "classic export, a series for every volume", "generated")
@pytest.mark.parametrize("m0_series", [False, True])
def test_an_acquisition_that_xa_splits_into_a_series_for_every_volume_gives_the_known_cbf(tmp_path, m0_series):
    volumes = pairs(continuous(1.8 + SLICE_S, 1.8))
    names = ["pcasl_2d_tra"] * len(volumes)
    volumes, names = [head(), *volumes], ["pcasl_2d_tra_M0" if m0_series else "pcasl_2d_tra", *names]
    for n, (volume, name) in enumerate(zip(volumes, names, strict=True)):

        def change(dataset, _, n=n, name=name):
            dataset.Manufacturer, dataset.SoftwareVersions = "Siemens Healthineers", "syngo MR XA30"
            dataset.SeriesNumber, dataset.SeriesTime = 18001 + n, "194504.467000"
            dataset.SeriesDescription = dataset.ProtocolName = name
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "ASL", "NONE", "NORM", "DIS2D", "MFSPLIT"]
            dataset.InversionTime, dataset.RepetitionTime = 1800, 6000
            dataset.AcquisitionNumber = n + 1
            slice_s = SLICE_S[int(dataset.InstanceNumber) - 1]
            dataset.AcquisitionTime = f"1945{10 + 5 * n + slice_s:09.6f}"

        uid = generate_uid()
        perfusion.write_volumes(tmp_path / str(n), [volume], series_uid=uid, study_uid="1.2.5", change=change)
    cbf, values = _measured(tmp_path)
    assert len({part.uid for source in cbf.sources for part in source.parts}) == 7
    assert values == pytest.approx(CBF, rel=0.02)


@pytest.mark.accepts("Philips", "ASL", "single-frame, 3D pCASL", "generated")
@pytest.mark.parametrize("shuffled", [False, True])
def test_philips_single_frame_images_give_the_known_cbf(tmp_path, shuffled):
    """Every image has its private scale; control and label are named, and no order of files counts."""
    share = continuous(2.0, 1.8, 0.85 * 0.83)
    kinds = ["CONTROL", "LABEL"] * 3
    volumes = [head(), head() * 0.99, *pairs(share, 2, level=0.1)]
    scales = [1.0, 1.0, 10.0, 10.0, 10.0, 10.0]

    def change(dataset, n):
        dataset.Manufacturer, dataset.ImageType = "Philips", ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"]
        dataset.SeriesDescription = dataset.ProtocolName = "SOURCE - 3DpCASL"
        dataset.MRAcquisitionType, dataset.RepetitionTime = "3D", 6000
        dataset.TemporalPositionIdentifier = 1 + n // 2
        dataset.TriggerTime = 51000 * (n // 2)
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, 0
        dataset.add_new((0x2005, 0x0010), "LO", "Philips MR Imaging DD 001")
        dataset.add_new((0x2005, 0x0014), "LO", "Philips MR Imaging DD 005")
        dataset.add_new((0x2005, 0x100E), "FL", scales[n])
        dataset.add_new((0x2005, 0x1429), "CS", kinds[n])
        if shuffled:
            dataset.InstanceNumber = int(dataset.InstanceNumber) * 7919 % 1000 + n

    scaled = [v * s for v, s in zip(volumes, scales, strict=True)]
    perfusion.write_volumes(tmp_path, scaled, series_uid="1.2.3", study_uid="1.2.5", change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.02)
    assert any("post-label delay 2000 ms" in c.text for c in cbf.caveats)  # Philips does not write it


@pytest.mark.accepts("Philips", "ASL", "enhanced, pCASL", "generated")
@pytest.mark.parametrize("coded", [False, True])
def test_philips_enhanced_images_give_the_known_cbf(tmp_path, coded):
    """One multi-frame image, its frames in no order; what they show is in each frame, coded or private."""
    volumes = [head(), *pairs(continuous(2.0, 1.8), 2)]
    contexts = ["M_ZERO_SCAN", *["CONTROL", "LABEL"] * 2]
    if not coded:
        volumes = [head(), head() * 0.99, *pairs(continuous(2.0, 1.8, 0.85 * 0.83), 2, 0.1)]
        contexts = ["CONTROL", "LABEL"] * 3
    images = []

    def change(dataset, n):
        dataset.Manufacturer, dataset.MRAcquisitionType = "Philips", "3D"
        dataset.SeriesDescription, dataset.RepetitionTime = "pCASL", 6000
        dataset.TemporalPositionIdentifier = n + 1
        images.append(copy.deepcopy(dataset))

    perfusion.write_volumes(tmp_path / "x", volumes, series_uid="1.2.3", study_uid="1.2.5", change=change)
    shutil.rmtree(tmp_path / "x")
    order = np.random.default_rng(0).permutation(len(images))
    whole = enhanced(images, order)
    whole.SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence[0].RepetitionTime = 6000
    for groups, i in zip(whole.PerFrameFunctionalGroupsSequence, order, strict=True):
        n = images[i].TemporalPositionIdentifier - 1
        groups.FrameContentSequence[0].TemporalPositionIndex = n + 1
        told = Dataset()
        if coded:
            told.ASLContext = contexts[n]
            groups.MRArterialSpinLabelingSequence = [told]
        else:
            told.add_new((0x2005, 0x1429), "CS", contexts[n])
            groups.add_new((0x2005, 0x140F), "SQ", [told])
    whole.AcquisitionContrast = "PERFUSION"
    whole.save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    assert _measured(tmp_path)[1] == pytest.approx(CBF, rel=0.02)


def _ge(excitations=3):
    def change(dataset, n):
        dataset.Manufacturer, dataset.ImageType = "GE MEDICAL SYSTEMS", ["ORIGINAL", "PRIMARY", "ASL"]
        dataset.SeriesDescription = dataset.ProtocolName = "3D ASL"
        dataset.MRAcquisitionType, dataset.RepetitionTime = "3D", 4700
        dataset.InversionTime = [2025, 0][n]
        dataset.add_new((0x0043, 0x0010), "LO", "GEMS_PARM_01")
        dataset.add_new((0x0043, 0x10A3), "CS", ["PSEUDOCONTINUOUS", "CONTINUOUS"][n])
        dataset.add_new((0x0043, 0x10A5), "IS", 1450)
        dataset.add_new((0x0027, 0x0010), "LO", "GEMS_IMAG_01")
        dataset.add_new((0x0027, 0x1062), "FL", float(excitations))

    return change


@pytest.mark.accepts("GE", "ASL", "3D pCASL, perfusion-weighted image and M0 in one series", "generated")
@pytest.mark.parametrize("excitations", [2, 3])
def test_ge_perfusion_weighted_and_reference_image_in_one_series_give_the_known_cbf(tmp_path, excitations):
    """GE's formula: 6000 λ (1 - exp(-ST / T1)) exp(PLD / T1b) PW / (2 ε T1b (1 - exp(-LD / T1b)) SF NEX PD)."""
    reference = head(10000.0)
    share = continuous(2.025, 1.45, 0.6) / (1 - np.exp(-2.0 / 1.33))
    weighted = reference * share * 32 * excitations
    change = _ge(excitations)
    perfusion.write_volumes(tmp_path, [weighted, reference], series_uid="1.2.3", study_uid="1.2.5", change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.02)
    assert cbf.method == "PCASL, single compartment, subtracted by the scanner"
    assert any("gain 32" in c.text for c in cbf.caveats)


def test_ge_images_without_private_attributes_are_refused(tmp_path):
    def change(dataset, n):
        _ge()(dataset, n)
        dataset.remove_private_tags()

    perfusion.write_volumes(tmp_path, [head(9000), head()], series_uid="1.2.3", study_uid="1.2.5", change=change)
    with pytest.raises(UnsupportedLabelling, match="GE"):
        _measured(tmp_path)


DELAYS_MS = (600.0, 900.0, 1200.0, 1500.0, 1800.0, 2200.0)


def _delayed(delay_s, arrival_s=0.8, bolus_s=0.7):
    """ΔM / M0 of pulsed labelling as the sum of what arrives, remains and relaxes (Buxton 1998, equation 2)."""
    step = 1e-3
    at = np.arange(0, delay_s, step) + step / 2
    arrives = (at >= arrival_s) & (at < arrival_s + bolus_s)
    remains = np.exp(-at / 1.65) * np.exp(-(CBF / 6000 / 0.9 + 1 / 1.33) * (delay_s - at))
    return 2 * 0.98 / 0.9 * CBF / 6000 * np.sum(arrives * remains) * step


@pytest.mark.accepts("Siemens, slices of any vendor", "ASL", "PASL with several inversion times", "generated")
@pytest.mark.slow
@pytest.mark.parametrize("mosaic", [False, True])
def test_several_delays_that_the_images_name_give_the_known_cbf(tmp_path, mosaic):
    bolus_s = 0.7 if mosaic else PerfusionOptions().bolus_duration_ms / 1000  # only the private protocol names it
    volumes = [head(), *(v for t in DELAYS_MS for v in pairs(_delayed(t / 1000, bolus_s=bolus_s), 2))]
    delays_ms = [None, *(t for t in DELAYS_MS for _ in range(4))]

    def change(dataset, n):
        dataset.SeriesDescription = dataset.ProtocolName = "pasl multi TI"
        dataset.MRAcquisitionType, dataset.RepetitionTime = "3D", 6000
        if delays_ms[n]:
            dataset.InversionTime = delays_ms[n]

    if mosaic:
        perfusion.write_mosaics(tmp_path, volumes, protocol=PASL_3D, change=change)
    else:
        perfusion.write_volumes(tmp_path, volumes, series_uid="1.2.3", study_uid="1.2.5", change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.03)
    assert "6 delays, median arrival 8" in cbf.method  # 800 ms


def test_several_delays_of_which_no_image_names_its_own_are_refused_by_name(tmp_path):
    protocol = 'tSequenceFileName = ""%CustomerSeq%\\jw_tgse_PCASL""\n' + "\n".join(
        f"sWipMemBlock.alFree[{30 + i}] = {250 * (i + 1)}" for i in range(6)
    )
    change = _set(SeriesDescription="jw_tgse_VEPCASL_6PLDs")
    perfusion.write_mosaics(tmp_path, pairs(0.01, 6), protocol=protocol, change=change)
    with pytest.raises(UnsupportedLabelling):
        _measured(tmp_path)


def test_two_delays_are_too_few(tmp_path):
    def change(dataset, n):
        dataset.InversionTime = 1500 if n % 4 < 2 else 2000

    volumes = [v for _ in range(2) for v in pairs(0.01, 2)]
    perfusion.write_volumes(tmp_path / "a", volumes, series_uid="1.2.3", study_uid="1.2.5", change=change)
    change = _set(SeriesDescription="M0")
    perfusion.write_volumes(tmp_path / "b", [head()], series_uid="1.2.4", study_uid="1.2.5", change=change)
    with pytest.raises(UnsupportedLabelling, match="2 post-label delays"):
        _measured(tmp_path)


@pytest.mark.accepts("Siemens XA", "ASL", "enhanced, 2D pCASL", "real")
def test_cbf_of_a_real_series_is_that_of_an_independent_computation(data):
    """XA30 enhanced 2D pCASL: frames straight from the files, by place and time; TR of M0 4.8 s."""
    images = [pydicom.dcmread(path) for path in sorted((data / XA30).iterdir())]
    kinds = {"LABEL": [], "CONTROL": [], "M_ZERO_SCAN": []}
    for image in images:
        groups = image.PerFrameFunctionalGroupsSequence
        z = [float(g.PlanePositionSequence[0].ImagePositionPatient[2]) for g in groups]
        times = [str(g.FrameContentSequence[0].FrameAcquisitionDateTime) for g in groups]
        context = groups[0].MRArterialSpinLabelingSequence[0].ASLContext
        kinds[context].append(image.pixel_array[np.argsort(z)].astype(float))
        late_s = np.array([float(t[-9:]) for t in times])[np.argsort(z)]
    label, control, m0 = (np.mean(kinds[k], axis=0) for k in kinds)
    m0 = m0 / (1 - np.exp(-4800 / 1330))
    delay_s = (1.8 + late_s - late_s.min())[:, None, None]
    expected = 6000 * 0.9 * (control - label) * np.exp(delay_s / 1.65) / np.maximum(m0, 1)
    expected /= 2 * 0.85 * 1.65 * (1 - np.exp(-1.8 / 1.65))
    (series,) = read_study([data / XA30]).series
    found = cbf_map({Role.LABELLING: series}, PerfusionOptions()).values
    values = found.array if found.affine[2, 0] > 0 else found.array[::-1]
    inside = np.isfinite(values)
    assert values[inside] == pytest.approx(expected[inside], rel=1e-3, abs=0.05)


def test_the_scanners_map_that_cannot_be_used_is_named_and_cbf_is_computed(tmp_path):
    found = [head(), *pairs(pulsed(1.8 + SLICE_S))]
    change = _set(SeriesNumber=3, SeriesDescription="pasl", **LONG_TR)
    perfusion.write_mosaics(tmp_path / "a", found, protocol=PASL_2D, slice_ms=SLICE_MS, change=change)
    change = _set(SeriesNumber=4, ImageType=["DERIVED", "PRIMARY", "ASL", "CBF"], SeriesDescription="CBF")
    perfusion.write_volumes(tmp_path / "b", [head()], series_uid="1.2.3", study_uid="1.2.5", change=change)
    cbf, values = _measured(tmp_path)
    assert values == pytest.approx(CBF, rel=0.02)
    assert (cbf.caveats[0].code, "scanner's CBF map" in cbf.caveats[0].text) == (UnknownScale.code, True)


def test_a_relative_map_as_mosaic_is_read(tmp_path):
    change = _set(ImageType=["DERIVED", "PRIMARY", "ASL", "RCBF", "ND", "MOSAIC"], SeriesDescription="relCBF")
    perfusion.write_mosaics(tmp_path, [head()], protocol=PASL_2D, change=change)
    found = relative_cbf_map({Role.RELATIVE_CBF_MAP: perfusion.only_series(tmp_path)})
    assert found.values.array.max() == pytest.approx(head().max(), abs=1)
