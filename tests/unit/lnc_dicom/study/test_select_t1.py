import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage, generate_uid

from lnc_dicom.errors import NoMagneticResonance, NoT1, TooCoarse
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import AFTER_AGENT, DERIVED_USED, PREFERRED_FAILED, find_candidates, select
from lnc_dicom.study.selection import FailedSeries
from lnc_dicom.types import Reason, Study
from tests.factories import head, layout, write_series
from tests.headers import series_of


def _changed(**values):
    def change(dataset):
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def _choose(tmp_path):
    return select(read_study([tmp_path]))


@pytest.mark.slow
def test_the_t1_series_is_chosen_and_the_others_are_listed_with_their_reason(tmp_path):
    study = generate_uid()
    write_series(tmp_path / "t1", study_uid=study)
    spoils = {
        "flair": (_changed(InversionTime=2500, EchoTime=100, SeriesDescription="FLAIR", SeriesNumber=3), Reason.NOT_T1),
        "adc": (
            _changed(ImageType=["ORIGINAL", "PRIMARY", "ADC"], SeriesDescription="x", SeriesNumber=4),
            Reason.DIFFUSION,
        ),
        "loc": (_changed(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesNumber=5), Reason.LOCALISER),
        "mpr": (_changed(ImageType=["DERIVED", "SECONDARY", "MPR"], SeriesNumber=6), Reason.DERIVED),
        "tof": (_changed(SeriesDescription="TOF 3D", SeriesNumber=7), Reason.ANGIOGRAPHY),
        "knee": (_changed(BodyPartExamined="KNEE", SeriesNumber=8), Reason.OTHER_BODY_PART),
    }
    for name, (change, _) in spoils.items():
        write_series(tmp_path / name, change=change, study_uid=study)
    selection = _choose(tmp_path)
    assert selection.chosen.header.SeriesNumber == 2
    reasons = {int(s.header.SeriesNumber): reason for s, reason in selection.passed_over}
    assert reasons == {int(3 + i): reason for i, (_, reason) in enumerate(spoils.values())}


def test_a_series_without_contrast_agent_is_preferred_to_a_finer_one_with(tmp_path):
    study = generate_uid()
    one_mm, two_mm = _isotropic(1.5), _isotropic(2.0)
    write_series(tmp_path / "plain", *two_mm, study_uid=study)
    write_series(tmp_path / "gd", *one_mm, study_uid=study, change=_changed(ContrastBolusAgent="Gd", SeriesNumber=9))
    selection = _choose(tmp_path)
    assert selection.chosen.header.SeriesNumber == 2
    assert [reason for _, reason in selection.passed_over] == [Reason.CONTRAST_GIVEN]


def test_of_two_plain_series_the_finer_wins(tmp_path):
    study = generate_uid()
    write_series(tmp_path / "a", *_isotropic(2.0), study_uid=study)
    write_series(tmp_path / "b", *_isotropic(1.5), study_uid=study, change=_changed(SeriesNumber=9))
    selection = _choose(tmp_path)
    assert selection.chosen.header.SeriesNumber == 9
    assert [reason for _, reason in selection.passed_over] == [Reason.COARSER]


def _isotropic(mm):
    size = round(120 / mm)
    return layout(*head((size, size, size), (mm, mm, mm)), (2, 1, 0), (1, 1, 1))


def test_a_study_with_only_ct_is_refused(tmp_path):
    def to_ct(dataset):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.Modality = "CT"

    write_series(tmp_path, change=to_ct)
    with pytest.raises(NoMagneticResonance):
        _choose(tmp_path)


def test_mr_without_t1_is_refused_with_a_list_of_what_was_found(tmp_path):
    write_series(tmp_path, change=_changed(InversionTime=2500, EchoTime=100, SeriesDescription="FLAIR"))
    with pytest.raises(NoT1, match="1 not T1-weighted"):
        _choose(tmp_path)


def test_thick_slices_are_too_coarse(tmp_path):
    thick = head((96, 96, 26), (2.0, 2.0, 6.0))
    write_series(tmp_path, *layout(*thick, (2, 1, 0), (1, 1, 1)))
    with pytest.raises(TooCoarse, match=r"6\.0 mm"):
        _choose(tmp_path)


@pytest.mark.parametrize(
    ("values", "usable"),
    [
        ({"RepetitionTime": 2250, "InversionTime": 925}, True),  # MPRAGE, Siemens
        (
            {"RepetitionTime": 6.5, "InversionTime": None, "FlipAngle": 9, "SeriesDescription": "x"},
            True,
        ),  # TFE, Philips
        ({"RepetitionTime": 7.0, "InversionTime": 450, "SeriesDescription": "BRAVO"}, True),  # GE
        ({"ScanningSequence": "SE", "RepetitionTime": 550, "EchoTime": 10, "InversionTime": None}, True),  # spin echo
        ({"ScanningSequence": "SE", "RepetitionTime": 3000, "EchoTime": 10, "InversionTime": None}, False),  # PD
        ({"ScanningSequence": "SE", "RepetitionTime": 4000, "EchoTime": 90, "InversionTime": None}, False),  # T2
        ({"RepetitionTime": 27, "EchoTime": 20, "InversionTime": None, "SeriesDescription": "x"}, False),  # SWI
        ({"InversionTime": 2200, "SeriesDescription": "x"}, False),  # FLAIR
        ({"InversionTime": 160, "SeriesDescription": "x"}, False),  # STIR
    ],
)
def test_contrast_and_timing_decide_what_is_t1_weighted(tmp_path, values, usable):
    write_series(tmp_path, *_isotropic(2.0), change=_changed(**values))
    if usable:
        assert _choose(tmp_path).passed_over == ()
    else:
        with pytest.raises(NoT1):
            _choose(tmp_path)


@pytest.mark.slow
def test_the_real_studies_give_their_t1(data):
    for name, description in (
        ("philips-ingenia-3t", "ADNI_Sag3D MPRAGE"),
        ("siemens-prisma-3t", "T1_mprage_ns_sag_p2_iso 1.0mm_192"),
        ("siemens-xa30-enhanced", "anat-T1w_acq-tfl"),
    ):
        selection = select(read_study([data / name]))
        assert selection.chosen.header.SeriesDescription == description
        assert all(reason in Reason for _, reason in selection.passed_over)
        assert np.unique([s.uid for s, _ in selection.passed_over]).size == len(selection.passed_over)


FLASH = {
    "ScanningSequence": "GR",
    "SequenceVariant": "SP",
    "InversionTime": None,
    "RepetitionTime": 8,
    "FlipAngle": 15,
}
BEST = {
    "whole head before a fine slab": ({}, {"places": 60, "step_mm": 1.0, "pixel_mm": 0.5}, Reason.SMALLER_COVER),
    "whole head before many close slices": ({}, {"places": 400, "step_mm": 0.2}, Reason.SMALLER_COVER),
    "small in-plane": ({}, {"pixel_mm": 0.3}, Reason.SMALLER_COVER),
    "preparation before timing alone": (
        {},
        {
            "SeriesDescription": "x",
            "SequenceName": None,
            "SequenceVariant": "SS",
            "InversionTime": None,
            "ScanningSequence": "GR",
            "RepetitionTime": 23,
            "EchoTime": 3.4,
            "FlipAngle": 18,
            "pixel_mm": 0.6,
        },
        Reason.TIMING_ONLY,
    ),
    "as acquired before derived": (
        {"pixel_mm": 1.2},
        {"ImageType": ["DERIVED", "PRIMARY", "M"], "NumberOfFrames": 1},
        Reason.LAST_RESORT,
    ),
    "as acquired before reformatted": ({}, {"ImageType": ["ORIGINAL", "PRIMARY", "MPR"]}, Reason.LAST_RESORT),
    "before contrast": ({}, {"SeriesDescription": "T1 3D +C GAD", "pixel_mm": 0.8}, Reason.CONTRAST_GIVEN),
    "no agent in a word": (
        {"ContrastBolusAgent": "NONE"},
        {"ContrastBolusAgent": "Gd", "pixel_mm": 0.8},
        Reason.CONTRAST_GIVEN,
    ),
    "3D gradient echo before 2D spin echo without contrast": (
        {"ContrastBolusAgent": "Gd"},
        {"ScanningSequence": "SE", "InversionTime": None, "RepetitionTime": 550, "MRAcquisitionType": "2D"},
        Reason.OTHER_SEQUENCE,
    ),
    "inversion before none": (
        {"pixel_mm": 1.2},
        {
            "ScanningSequence": "GR",
            "SequenceVariant": "SP",
            "InversionTime": None,
            "RepetitionTime": 8,
            "FlipAngle": 15,
        },
        Reason.NOT_PREPARED,
    ),
    "corrected in 3D before ND": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D"], "SeriesTime": "100001"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "SeriesTime": "100000"},
        Reason.UNCORRECTED,
    ),
    "corrected in 2D before ND": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS2D"], "SeriesTime": "100001"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "SeriesTime": "100000"},
        Reason.UNCORRECTED,
    ),
    "corrected in 3D before 2D": (
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS3D", "DIS2D"], "pixel_mm": 1.2},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "DIS2D"]},
        Reason.UNCORRECTED,
    ),
    "3D before 2D gradient echo": (
        FLASH | {"pixel_mm": 1.2},
        FLASH | {"MRAcquisitionType": "2D"},
        Reason.OTHER_SEQUENCE,
    ),
    "RMS before one echo": (
        {"SeriesDescription": "T1_memprage RMS", "SeriesTime": "100001"},
        {"SeriesDescription": "T1_memprage_e1", "SeriesTime": "100000"},
        Reason.ONE_ECHO,
    ),
    "mean before one echo": ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MEAN"]}, {"pixel_mm": 0.9}, Reason.ONE_ECHO),
    "finer": ({"SeriesTime": "100001"}, {"pixel_mm": 1.2, "SeriesTime": "100000"}, Reason.COARSER),
    "earlier": ({"SeriesTime": "100000"}, {"SeriesTime": "100001"}, Reason.LATER),
    "a head before what may be a neck": ({}, {"BodyPartExamined": "NECK", "pixel_mm": 0.8}, Reason.DOUBTFUL_REGION),
    "large voxels": ({}, {"step_mm": 5.0, "places": 40}, Reason.TOO_COARSE),
}


@pytest.mark.parametrize("name", BEST)
@pytest.mark.parametrize("order", [1, -1])
def test_the_series_that_suits_a_head_is_chosen_and_the_other_has_its_reason(name, order):
    better, worse, reason = BEST[name]
    uids = ("1.1", "1.2")[::order]
    selection = select(Study("1", (series_of(uids[0], **better), series_of(uids[1], **worse))[::order]))
    assert selection.chosen.uid == uids[0]
    assert [found for _, found in selection.passed_over] == [reason]


def _mp2rage(**changes):
    """The series of an MP2RAGE by name."""
    slow = {"RepetitionTime": 5000, "NumberOfFrames": 1}
    made = {
        "INV1": {"SeriesDescription": "mp2rage_INV1", "InversionTime": 700},
        "INV2": {"SeriesDescription": "mp2rage_INV2", "InversionTime": 2500},
        "UNI": {
            "SeriesDescription": "mp2rage_UNI_Images",
            "InversionTime": None,
            "ImageType": ["DERIVED", "PRIMARY", "M", "UNI"],
        },
        "T1": {
            "SeriesDescription": "mp2rage_T1_Images",
            "InversionTime": None,
            "ImageType": ["DERIVED", "PRIMARY", "M"],
        },
    }
    return Study("1", tuple(series_of(f"1.{uid}", **slow | values) for uid, values in (made | changes).items()))


def test_the_uniform_image_of_an_mp2rage_is_used_and_its_inversion_images_never():
    candidates = find_candidates(_mp2rage())
    assert [c.series.uid for c in candidates.ranked] == ["1.UNI"]
    reasons = {series.uid: reason for series, reason in candidates.passed_over}
    assert reasons == {"1.INV1": Reason.INVERSION_IMAGE, "1.INV2": Reason.NOT_T1, "1.T1": Reason.NOT_T1}


def test_the_uniform_image_comes_before_the_denoised_one():
    denoised = {
        "SeriesDescription": "mp2rage_UNI-DEN",
        "InversionTime": None,
        "ImageType": ["DERIVED", "PRIMARY", "UNI"],
    }
    assert [c.series.uid for c in find_candidates(_mp2rage(DEN=denoised)).ranked] == ["1.UNI", "1.DEN"]


def test_the_inversion_images_are_known_by_their_timing_where_they_have_no_name():
    named = {uid: {"SeriesDescription": "x", "InversionTime": ti} for uid, ti in (("INV1", 700), ("INV2", 1200))}
    assert [c.series.uid for c in find_candidates(_mp2rage(**named)).ranked] == ["1.UNI"]


def test_the_choice_says_what_a_reader_must_know():
    def codes(**values):
        caveats = select(Study("1", (series_of(NumberOfFrames=1, **values),))).caveats
        assert all(c.is_our_text for c in caveats)
        return {c.code for c in caveats}

    assert codes() == set()
    assert codes(ContrastBolusAgent="Gd") == codes(SeriesDescription="T1 post KM") == {AFTER_AGENT}
    assert codes(ImageType=["DERIVED", "PRIMARY", "M"]) == {DERIVED_USED}


def test_after_a_failure_the_next_best_is_chosen_and_the_failed_one_is_named():
    study = Study(
        "1", (series_of("1.1", SeriesNumber=3), series_of("1.2", pixel_mm=1.2), series_of("1.3", pixel_mm=1.3))
    )
    candidates = find_candidates(study)
    failed = FailedSeries(candidates.ranked[0].series, "LNC-105", "a gap")
    selection = candidates.selection([failed])
    assert selection.chosen.uid == "1.2"
    assert [(series.uid, reason) for series, reason in selection.passed_over] == [("1.3", Reason.COARSER)]
    assert selection.failed == (failed,)
    (caveat,) = selection.caveats
    assert caveat.is_our_text
    assert (caveat.code, caveat.text) == (PREFERRED_FAILED, "not measured, another was: series 3: LNC-105 a gap")


def test_the_caveat_of_a_long_failure_is_cut():
    candidates = find_candidates(Study("1", (series_of("1.1"), series_of("1.2", pixel_mm=1.2))))
    (caveat,) = candidates.selection([FailedSeries(candidates.ranked[0].series, "LNC-109", "word " * 99)]).caveats
    assert 140 < len(caveat.text) <= 160
    assert caveat.text.endswith(" …")


TEXTS = (
    *(
        "SeriesDescription",
        "ProtocolName",
        "StudyDescription",
        "BodyPartExamined",
        "ContrastBolusAgent",
        "SequenceName",
    ),
    *("AcquisitionContrast", "ComplexImageComponent", "MRAcquisitionType", "AngioFlag", "EchoPulseSequence"),
)
LISTS = ("ImageType", "ScanningSequence", "SequenceVariant")


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(TEXTS), st.text(max_size=16), max_size=4),
    st.dictionaries(st.sampled_from(LISTS), st.one_of(st.text(max_size=9), st.lists(st.text(max_size=9), max_size=5))),
)
def test_whatever_the_texts_of_another_series_say_one_is_chosen(texts, lists):
    study = Study("1", (series_of("1.1", places=24, **texts, **lists), series_of("1.2", places=24)))
    assert select(study).chosen.uid in {"1.1", "1.2"}


def test_of_several_coarse_series_the_refusal_names_the_finest():
    coarse = (series_of("1.1", step_mm=6.0, places=30), series_of("1.2", step_mm=5.0, places=30))
    with pytest.raises(TooCoarse, match=r"slices of 5\.0 mm"):
        select(Study("1", coarse))
