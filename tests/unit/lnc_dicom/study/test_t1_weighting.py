import pytest
from pydicom import Dataset

from lnc_dicom.study.attributes import attributes_of
from lnc_dicom.study.t1_weighting import RULES, is_denoised, is_inversion_image, is_t1_weighted, is_uniform
from lnc_dicom.types import Reason
from tests.headers import series_of

TFE = {"ScanningSequence": "GR", "SequenceVariant": "MP", "InversionTime": None, "RepetitionTime": 8.1, "FlipAngle": 7}
PLAIN = {"ScanningSequence": "GR", "SequenceVariant": "SP", "InversionTime": None, "SequenceName": None}


def _attributes(**values):
    return attributes_of(series_of(**values))


def _reason(**values):
    found = _attributes(**values)
    return next((reason for reason, holds in RULES if holds(found)), None)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "sT1W_3D_TFE",
            "3DT1",
            "T1W_3D_TFE",
            "T1_3D",
            "SAG_3DT1",
            "sag t1",
            "T1WI",
            "eTHRIVE",
            "IR-FSPGR",
            "MEMPRAGE",
        ),
        *(
            "AX T1 BRAVO",
            "t1_tfl3d",
            "T1W_TFE_SENSE",
            "MP-RAGE",
            "mp_rage",
            "t1_mpr_ns_sag",
            "WIP sT1W_3D_TFE SENSE",
            "T1FLAIR",
        ),
    ],
)
def test_names_of_t1_sequences_are_known(name):
    unclear = {"ScanningSequence": "RM", "SequenceVariant": "NONE", "InversionTime": None, "SequenceName": None}
    assert is_t1_weighted(_attributes(SeriesDescription=name, **unclear))


@pytest.mark.parametrize("name", ["T10-T12", "T2 TSE", "T1rho", "point1", "T1 map", "x", "T2*", "PD", "t1_molli"])
def test_other_names_are_not(name):
    unclear = {"ScanningSequence": "RM", "SequenceVariant": "NONE", "InversionTime": None, "SequenceName": None}
    assert not is_t1_weighted(_attributes(SeriesDescription=name, **unclear))


@pytest.mark.parametrize("flip_deg", [6, 7, 8, 9, 15])
def test_a_prepared_tfe_of_a_small_flip_angle_is_t1_weighted_whatever_its_name(flip_deg):
    assert is_t1_weighted(_attributes(SeriesDescription="x", **TFE | {"FlipAngle": flip_deg, "SequenceName": None}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("3DB0Map", {"ScanningSequence": "RM", "SequenceVariant": "NONE", "RepetitionTime": 5, "EchoTime": 1.6}),
        ("B0 map", {"RepetitionTime": 400, "EchoTime": 5, "FlipAngle": 60}),
        ("gre_field_mapping", {"RepetitionTime": 500, "EchoTime": 4.9, "FlipAngle": 60}),
        ("FieldMap_T1w", {"RepetitionTime": 8, "EchoTime": 2.3, "FlipAngle": 10}),
        ("tfl_b1map", {"RepetitionTime": 800, "EchoTime": 2.3, "FlipAngle": 8}),
        ("x", {"ScanningSequence": "RM", "RepetitionTime": 5, "EchoTime": 1.6}),
        ("Coil Cal", {"RepetitionTime": 4, "EchoTime": 0.8, "FlipAngle": 10}),
        ("x", {"ScanningSequence": "SE", "RepetitionTime": 5, "EchoTime": 1.6}),
        ("x", {"ScanningSequence": ["EP", "GR"], "RepetitionTime": 800, "EchoTime": 9, "FlipAngle": 70}),
    ],
)
def test_field_maps_calibrations_and_echo_planar_images_are_not_t1_weighted(name, values):
    assert _reason(SeriesDescription=name, ProtocolName=name, **PLAIN | values) is Reason.NOT_T1


@pytest.mark.parametrize(
    "name", ["s3DI_MC_HR", "S3DI MC", "3DI_MC", "TOF_3D_multi-slab", "tof3d", "MRA COW", "3D INFLOW", "ANGIO"]
)
def test_a_time_of_flight_angiogram_is_known_by_its_name_where_the_flag_is_not_set(name):
    values = PLAIN | {
        "SequenceVariant": "SS",
        "RepetitionTime": 23,
        "EchoTime": 3.45,
        "FlipAngle": 18,
        "AngioFlag": "N",
    }
    assert _reason(SeriesDescription=name, ProtocolName=name, **values) is Reason.ANGIOGRAPHY


@pytest.mark.parametrize(
    ("image_type", "expected"),
    [
        ("ORIGINAL", None),
        ("DERIVED", None),
        (["ORIGINAL", "PRIMARY"], None),
        (["ORIGINAL", "PRIMARY", "P", "ND"], Reason.NOT_MAGNITUDE),
        (["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], Reason.NOT_MAGNITUDE),
        (["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"], Reason.NOT_MAGNITUDE),
        (["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], None),
        (["DERIVED", "PRIMARY", "T1 MAP", "ND"], Reason.NOT_MAGNITUDE),
        (["DERIVED", "PRIMARY", "M", "ND", "NORM"], None),
        (["DERIVED", "PRIMARY", "M", "DIS3D"], None),
        (["DERIVED", "SECONDARY", "MPR"], Reason.DERIVED),
        (["ORIGINAL", "PRIMARY", "DIXON", "W"], None),
        (["DERIVED", "PRIMARY", "DIXON", "F"], Reason.NOT_T1),
        (["ORIGINAL", "PRIMARY", "OUT_PHASE"], Reason.NOT_T1),
        (["DERIVED", "PRIMARY", "PROJECTION IMAGE"], Reason.DERIVED),
        (["DERIVED", "PRIMARY", "SUB"], Reason.DERIVED),
        (None, None),
    ],
)
def test_the_image_type_is_read_by_its_values_however_many_there_are(image_type, expected):
    assert _reason(ImageType=image_type) is expected


def test_a_phase_image_is_known_by_its_complex_component():
    assert _reason(ComplexImageComponent="PHASE") is Reason.NOT_MAGNITUDE
    assert _reason(ComplexImageComponent="MAGNITUDE") is None


@pytest.mark.parametrize("name", ["EchoTime", "RepetitionTime", "FlipAngle", "InversionTime"])
def test_several_values_of_a_time_count_by_the_first(name):
    one = _attributes()
    several = _attributes(
        **{name: [{"EchoTime": 2.98, "RepetitionTime": 2300, "FlipAngle": 9, "InversionTime": 900}[name], 5]}
    )
    assert several == one


def test_the_images_of_an_mp2rage_are_told_apart():
    uniform = _attributes(SeriesDescription="t1_mp2rage_UNI_Images", RepetitionTime=5000, InversionTime=None)
    denoised = _attributes(SeriesDescription="t1_mp2rage_UNI-DEN", RepetitionTime=5000, InversionTime=None)
    typed = _attributes(ImageType=["DERIVED", "PRIMARY", "M", "ND", "UNI"], SeriesDescription="x")
    assert all(map(is_uniform, (uniform, denoised, typed)))
    assert [is_denoised(a) for a in (uniform, denoised)] == [False, True]
    for values in (
        {"SeriesDescription": "x_INV1"},
        {"SeriesDescription": "inv-2"},
        {"RepetitionTime": 5000, "InversionTime": 700},
    ):
        assert is_inversion_image(_attributes(**values), uniform)
    assert not is_inversion_image(_attributes(), uniform)
    assert not is_inversion_image(denoised, uniform)


def test_every_rule_has_a_reason_of_its_own():
    assert len({reason for reason, _ in RULES}) == len(RULES)


def test_a_longer_inversion_time_is_one_of_a_gradient_echo_only():
    assert is_t1_weighted(_attributes(InversionTime=1500))
    assert not is_t1_weighted(_attributes(InversionTime=1500, ScanningSequence=["SE", "IR"]))
    assert not is_t1_weighted(_attributes(InversionTime=2500))


@pytest.mark.parametrize(("inversion_ms", "expected"), [(0, True), (100, False), (900, True), (2500, False)])
def test_an_inversion_time_of_zero_is_none_and_others_decide(inversion_ms, expected):
    flash = PLAIN | {"RepetitionTime": 8, "FlipAngle": 15, "SeriesDescription": "x"}
    assert is_t1_weighted(_attributes(**flash | {"InversionTime": inversion_ms})) is expected


def test_enhanced_images_say_by_their_modifier_that_they_are_inverted():
    modifier, shared = Dataset(), Dataset()
    modifier.InversionRecovery = "YES"
    shared.MRModifierSequence = [modifier]
    unnamed = {"SeriesDescription": "x", "SequenceName": None, "ScanningSequence": None, "SequenceVariant": None}
    values = unnamed | {"InversionTime": None, "EchoPulseSequence": "GRADIENT", "FlipAngle": 5, "RepetitionTime": 8}
    assert _reason(SharedFunctionalGroupsSequence=[shared], **values) is None
    assert _reason(**values) is Reason.NOT_T1


def test_an_angiogram_by_name_is_used_only_where_its_preparation_and_its_name_say_t1():
    assert _reason(SeriesDescription="T1 MPRAGE for MRA") is None
    assert _reason(SeriesDescription="TOF 3D", SequenceName=None) is Reason.ANGIOGRAPHY


def test_a_contrast_that_the_scanner_names_decides_unless_preparation_and_name_both_say_t1():
    for contrast in ("PROTON_DENSITY", "T2"):
        assert is_t1_weighted(_attributes(AcquisitionContrast=contrast))
        assert not is_t1_weighted(_attributes(AcquisitionContrast=contrast, SeriesDescription="x", SequenceName=None))
