"""Bad maps beside a good T1: the measurement is left out with its code, and the rest goes on."""

import json
import shutil
import weakref
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from lnc_dicom.errors import WrongPose
from lnc_dicom.pipeline import MOST_SEGMENTED, analyse, process
from lnc_dicom.quantities import Quantity
from lnc_dicom.result_json import result_json
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import STAGES, Tools
from lnc_dicom.types import Pose
from tests.factories import NOW, BoxSegmenter, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle

XA30 = "siemens-xa30-enhanced"
T1, FA, DWI, ASL, RELATIVE = (
    "5_anat-T1w_acq-tfl",
    "13_DWI_dir80_PA",
    "10_DWI_dir80_PA",
    "25_asl_2d_tra",
    "28_asl_2d_tra",
)


def _study(data, folder, faults):
    """Copy series of the real study, each damaged by a function that returns False for an instance to leave out."""
    for name, fault in {T1: None, **faults}.items():
        for path in sorted(p for p in (data / XA30 / name).rglob("*") if p.is_file()):
            if fault is None:
                shutil.copy(path, folder / f"{name} {path.name}")
                continue
            dataset = pydicom.dcmread(path)
            if fault(dataset) is not False:
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
    faults, expected, left = CASES[name]
    report = analyse(_study(data, tmp_path, faults), Tools(segmenter, NOW))
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
    stages = _Stages()
    report = analyse(_study(data, tmp_path, {}), Tools(segmenter, NOW, stages))
    assert report.maps == ()
    assert [c.code for c in report.caveats] == ["LNC-400"]
    assert stages.visited == list(STAGES[:-1])


class _Stages:
    """Remembers the stages that were begun."""

    def __init__(self):
        self.visited = []

    def __call__(self, name):
        self.visited.append(name)
        return nullcontext()


class _Turned(BoxSegmenter):
    """Finds a head that is turned too far."""

    def __call__(self, volume):
        return replace(super().__call__(volume), pose=Pose(90.0, 1.0, 1.0))


def test_a_study_that_a_gate_refuses_never_reaches_the_biomarker_model(tmp_path):
    write_series(tmp_path)
    stages = _Stages()
    with pytest.raises(WrongPose):
        analyse(read_study([tmp_path]), Tools(_Turned(), NOW, stages, predictor=Oracle()))
    assert stages.visited[-1] == "segment"


def test_caveats_of_the_study_stand_apart_from_those_of_predictions(tmp_path):
    write_series(tmp_path)
    (tmp_path / "notes.dcm").write_text("no DICOM object")
    report = analyse(read_study([tmp_path]), Tools(BoxSegmenter(), NOW, predictor=Oracle(distance=2.0)))
    assert [c.code for c in report.caveats] == ["LNC-400", "LNC-401", "LNC-430"]
    assert [c.code for c in report.prediction_caveats] == ["LNC-408", "LNC-421", "LNC-424"]


def test_every_stage_is_visited_once_and_in_order(tmp_path):
    write_series(tmp_path)
    stages = _Stages()
    process(read_study([tmp_path]), Tools(BoxSegmenter(), NOW, stages))
    assert stages.visited == list(STAGES)


def _two_series(folder, change=lambda dataset: None):
    """A better series that is changed, number 9, and a coarser whole one, number 2, of the same study."""
    study = generate_uid()

    def better(dataset):
        dataset.SeriesNumber = 9
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "DIS3D"]
        change(dataset)

    write_series(folder / "better", change=better, study_uid=study)
    write_series(folder / "other", study_uid=study)


def test_where_the_best_series_has_a_gap_the_next_is_measured_and_the_failed_one_is_named(tmp_path):
    _two_series(tmp_path)
    (tmp_path / "better" / "0030.dcm").unlink()
    report = analyse(read_study([tmp_path]), Tools(BoxSegmenter(), NOW))
    assert report.selection.chosen.header.SeriesNumber == 2
    assert [(f.series.header.SeriesNumber, f.code) for f in report.selection.failed] == [(9, "LNC-105")]
    assert "LNC-427" in [c.code for c in report.caveats]
    result = json.loads(result_json(report, (), {}))
    (failed,) = result["series"]["failed"]
    assert (failed["number"], failed["code"]) == (9, "LNC-105")
    assert failed["what"].startswith("a gap of")


class _TurnedAtFirst(_Turned):
    """Refuses the first head; keeps no volume alive, and remembers whether one of an earlier call still lives."""

    def __init__(self):
        self.seen = []
        self.held = []

    def __call__(self, volume):
        self.held.append(any(alive() is not None for alive in self.seen))
        self.seen.append(weakref.ref(volume))
        return super().__call__(volume) if len(self.seen) == 1 else BoxSegmenter()(volume)


def test_where_a_gate_refuses_the_best_series_the_next_is_measured_and_one_volume_is_held_at_a_time(tmp_path):
    _two_series(tmp_path)
    segmenter, stages = _TurnedAtFirst(), _Stages()
    report = analyse(read_study([tmp_path]), Tools(segmenter, NOW, stages))
    assert [f.code for f in report.selection.failed] == ["LNC-115"]
    assert segmenter.held == [False, False]
    assert stages.visited == ["select", *["volume", "segment"] * 2, *STAGES[3:-1]]


def test_where_all_fail_the_error_is_that_of_the_best_and_the_others_are_named(tmp_path):
    _two_series(tmp_path)
    (tmp_path / "other" / "0030.dcm").unlink()
    stages = _Stages()
    with pytest.raises(WrongPose, match=r"LNC-508 .*; series 2: LNC-105 a gap"):
        analyse(read_study([tmp_path]), Tools(_Turned(), NOW, stages))
    assert "diffusion" not in stages.visited


def test_of_many_series_that_are_all_refused_only_some_are_segmented(tmp_path):
    study = generate_uid()
    for name in range(MOST_SEGMENTED + 2):
        write_series(tmp_path / str(name), study_uid=study)
    stages = _Stages()
    with pytest.raises(WrongPose, match="2 more T1-weighted series were not tried"):
        analyse(read_study([tmp_path]), Tools(_Turned(), NOW, stages))
    assert stages.visited.count("segment") == MOST_SEGMENTED
