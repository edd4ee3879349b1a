"""Bad maps beside a good T1: the measurement is left out with its code, and the rest goes on."""

import json
import shutil

import numpy as np
import pydicom
import pytest

from lnc_dicom.pipeline import STAGES, analyse
from lnc_dicom.result_json import result_json
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.types import Quantity
from tests.factories import NOW

XA30 = "siemens-xa30-enhanced"
T1, FA, DWI, ASL, RELATIVE = (
    "5_anat-T1w_acq-tfl",
    "13_DWI_dir80_PA",
    "10_DWI_dir80_PA",
    "25_asl_2d_tra",
    "28_asl_2d_tra",
)


def _study(data, folder, spoils):
    """Copy series of the real study, each spoilt by a function that gives False for an instance to leave out."""
    for name, spoil in {T1: None, **spoils}.items():
        for path in sorted(p for p in (data / XA30 / name).rglob("*") if p.is_file()):
            if spoil is None:
                shutil.copy(path, folder / f"{name} {path.name}")
                continue
            dataset = pydicom.dcmread(path)
            if spoil(dataset) is not False:
                dataset.save_as(folder / f"{name} {path.name}")
    return read_study([folder])


def _no_gradients(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        if "MRDiffusionSequence" in frame:
            del frame.MRDiffusionSequence
        for tag in [e.tag for e in frame if e.tag.is_private]:
            del frame[tag]
    for tag in [e.tag for e in dataset if e.tag.is_private]:
        del dataset[tag]


def _only_weighted(dataset):
    return dataset.PerFrameFunctionalGroupsSequence[0].MRDiffusionSequence[0].DiffusionBValue > 0


def _five_directions(dataset):
    return int(dataset.InstanceNumber) <= 6


def _no_m0(dataset):
    return int(dataset.InstanceNumber) != 1


def _unpaired(dataset):
    return int(dataset.InstanceNumber) != 7


def _far(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x, y, z + 400]


def _misplaced(dataset):
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x + 40, y, z]


def _other_scale(dataset):
    dataset.PixelData = (dataset.pixel_array.astype(np.uint16) * 4).tobytes()


def _implausible(dataset):
    dataset.PixelData = np.full_like(dataset.pixel_array, 500).tobytes()


def _a_slice_doubled(dataset):
    frames = dataset.PerFrameFunctionalGroupsSequence
    frames[1].PlanePositionSequence = frames[0].PlanePositionSequence


CASES = {
    "no gradients": ({DWI: _no_gradients}, {"LNC-412"}, None),
    "no b = 0": ({DWI: _only_weighted}, {"LNC-413"}, None),
    "five directions": ({DWI: _five_directions}, {"LNC-414"}, None),
    "no M0": ({ASL: _no_m0}, {"LNC-415"}, None),
    "unpaired": ({ASL: _unpaired}, {"LNC-416"}, None),
    "unknown scale": ({FA: _other_scale}, {"LNC-417"}, None),
    "misplaced": ({FA: _misplaced}, {"LNC-418"}, None),
    "far from the head": ({FA: _far}, {"LNC-419"}, None),
    "implausible": ({FA: _implausible, DWI: None}, {"LNC-420"}, None),
    "doubled slice": ({FA: _a_slice_doubled}, {"LNC-411"}, None),
    "one of two": ({FA: _other_scale, ASL: None, RELATIVE: None}, {"LNC-417"}, {Quantity.CBF, Quantity.RELATIVE_CBF}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_map_is_left_out_with_its_code_and_the_rest_goes_on(data, segmenter, tmp_path, name):
    spoils, expected, left = CASES[name]
    report = analyse(_study(data, tmp_path, spoils), Tools(segmenter, NOW))
    codes = {c.code for c in report.caveats}
    assert codes & {f"LNC-{n}" for n in range(410, 421)} == expected
    assert {m.map.quantity for m in report.maps} == (left or set())
    assert all(m.passed for m in report.measurements)
    assert all(set(m.statistics) <= (left or set()) for m in report.measurements)


def test_the_same_study_gives_the_same_result(data, segmenter, tmp_path):
    study = _study(data, tmp_path, {FA: None, DWI: None, ASL: None, RELATIVE: None})
    first, second = (result_json(analyse(study, Tools(segmenter, NOW)), (), {}) for _ in range(2))
    assert first == second
    result = json.loads(first)
    assert {m["quantity"] for m in result["maps"]} == {"fa", "cbf", "relative_cbf"}
    caudate = next(a for a in result["asymmetry"] if a["name"] == "caudate")
    left, right = (
        next(r for r in result["regions"] if (r["name"], r["side"]) == ("caudate", s)) for s in ("left", "right")
    )
    for key, value in (("volume", lambda r: r["volume_ml"]), ("fa", lambda r: r["fa"]["mean"])):
        expected = (value(left) - value(right)) / ((value(left) + value(right)) / 2)
        assert caudate[key] == pytest.approx(expected, abs=1e-3)


def test_a_t1_alone_passes_every_stage_without_a_caveat_of_maps(data, segmenter, tmp_path):
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def stage(name):
        seen.append(name)
        yield

    report = analyse(_study(data, tmp_path, {}), Tools(segmenter, NOW, stage))
    assert report.maps == ()
    assert [c.code for c in report.caveats] == ["LNC-400"]
    assert seen == list(STAGES[:-1])
