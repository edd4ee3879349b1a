"""Every study of ../shared/cases comes out as the last column of its table says."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lnc_dicom.errors import LncError
from lnc_dicom.options import Options
from lnc_dicom.outputs import Output
from lnc_dicom.pipeline import process
from lnc_dicom.result_json import rejection_json, result_json
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from tests.conftest import DATA
from tests.factories import NOW

CASES = DATA.parent / "cases"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")]
HEAD = "siemens-prisma-3t/t1"
OPTIONS = Options(objects=(Output.SEG, Output.SR))


@dataclass(frozen=True)
class Expectation:
    """What is right of a result, and the same in words."""

    words: str
    holds: Callable[[dict], bool]

    def __call__(self, result):
        return self.holds(result)


def has_volumes(result):
    return "rejected" not in result and all(r["volume_ml"] for r in result["regions"] if r["label"] <= 8)


def codes(result):
    return {c["code"] for c in result["caveats"]}


measured = Expectation("measured", has_volumes)


def chosen(description):
    """A series by its description: it is measured, and nothing else."""
    return Expectation(
        f"`{description}` is measured",
        lambda result: has_volumes(result) and result["chosen description"] == description,
    )


def caveat(*wanted):
    words = f"measured, with {' and '.join(wanted)}"
    return Expectation(words, lambda result: has_volumes(result) and set(wanted) <= codes(result))


def no_caveat(*unwanted):
    words = f"measured, without {' or '.join(unwanted)}"
    return Expectation(words, lambda result: has_volumes(result) and not set(unwanted) & codes(result))


def refused(*wanted):
    words = f"refused: {wanted[0]} to {wanted[-1]}" if len(wanted) > 2 else f"refused: {' or '.join(wanted)}"
    return Expectation(words, lambda result: result.get("rejected", {}).get("code") in wanted)


def rejected_for(text):
    """Refused with a reason that names something."""
    return Expectation(f"refused, naming {text}", lambda result: text in result.get("rejected", {}).get("what", ""))


def either(*parts):
    return Expectation("; or ".join(p.words for p in parts), lambda result: any(p(result) for p in parts))


def every(*parts):
    return Expectation("; ".join(p.words for p in parts), lambda result: all(p(result) for p in parts))


def says(text):
    return Expectation(f'the result says "{text}"', lambda result: text in json.dumps(result))


def left_out(reason):
    """Whether a series was passed over for this reason."""
    return Expectation(
        f"a series is passed over: {reason}",
        lambda result: reason in [s["reason"] for s in result["series"]["passed_over"]],
    )


def has_map(quantity):
    return Expectation(
        f"{quantity.upper()} is measured", lambda result: any(m["quantity"] == quantity for m in result["maps"])
    )


def _fa_of_a_head(result):
    values = [r["fa"]["mean"] for r in result["regions"] if r["label"] <= 8 and "fa" in r]
    return len(values) == 8 and all(0.05 < value < 0.5 for value in values)


def _same_volumes(result):
    return has_volumes(result) and all(
        abs(r["volume_ml"] / own["volume_ml"] - 1) < 0.05
        for r, own in zip(result["regions"], result["own regions"], strict=True)
        if r["label"] <= 8
    )


fa_of_a_head = Expectation("FA of every nucleus is that of a head", _fa_of_a_head)
same_volumes = Expectation("volumes within 5 % of those of the same head as it was", _same_volumes)


WHY_NO_MAP = Expectation(
    "measured, with a caveat of LNC-410 to LNC-420",
    lambda result: has_volumes(result) and bool(codes(result) & {f"LNC-{n}" for n in range(410, 421)}),
)
PATIENTS = either(refused("LNC-116"), caveat("LNC-401"))
GEOMETRY = tuple(f"LNC-{n}" for n in range(100, 117))
RIGHT = {
    "agent-nativ": every(chosen("T1_mprage"), no_caveat("LNC-425")),
    "agent-none": every(chosen("T1_mprage"), no_caveat("LNC-425")),
    "bare-header": caveat("LNC-422"),
    "body-part-brain-head": measured,
    "body-part-brainstem": measured,
    "body-part-cerebro": measured,
    "body-part-head-and-neck": measured,
    "body-part-head-underscore-neck": measured,
    "body-part-wholebody": measured,
    "cervical-spine-beside-head": every(chosen("T1_mprage"), left_out("another part of the body")),
    "comma-decimals": rejected_for("PixelSpacing"),
    "defaced-derived": caveat("LNC-426"),
    "enhanced-without-shared-groups": either(measured, refused(*GEOMETRY)),
    "field-map-beside-post-contrast": every(chosen("T1_mprage"), caveat("LNC-425")),
    "flair-2d-5mm": refused("LNC-104"),
    "gap-beside-whole": every(chosen("T1_mprage_repeat"), says("LNC-105")),
    "image-type-one-value": measured,
    "legacy-converted": either(measured, rejected_for("Legacy Converted")),
    "magnitude-and-phase-magnitude-first": either(measured, rejected_for("phase")),
    "mp2rage-uni-alone": measured,
    "mp2rage-uni-derived": every(chosen("T1_mp2rage_UNI_Images"), caveat("LNC-426")),
    "nd-before-dis3d": chosen("T1_mprage"),
    "nonsquare-pixels": same_volumes,
    "number-of-frames-1": measured,
    "one-spacing-value-elsewhere": measured,
    "philips-body-part-orbit": refused("LNC-108", "LNC-109"),
    "philips-dti-with-trace": no_caveat("LNC-412"),
    "philips-private-files-beside": no_caveat("LNC-401"),
    "philips-st1w-3d-tfe": measured,
    "post-contrast-finer": either(chosen("T1_mprage"), caveat("LNC-425")),
    "projection-in-series": every(measured, says("left out")),
    "same-uid-other-patient": PATIENTS,
    "sent-again-with-new-uids": every(measured, says("left out")),
    "siemens-pcasl-mosaic-m0-own-series": no_caveat("LNC-411", "LNC-415"),
    "siemens-vb15-dti-mosaic": either(left_out("diffusion"), caveat("LNC-412"), caveat("LNC-414")),
    "siemens-xa-classic-asl-split": either(has_map("cbf"), WHY_NO_MAP),
    "slab-beside-head": chosen("T1_mprage"),
    "slope-of-every-slice": same_volumes,
    "tof-philips-default-name": every(chosen("T1_mprage"), left_out("angiography")),
    "trace-in-dti-first": every(measured, fa_of_a_head),
    "two-acquisitions": measured,
    "two-patients-one-series": PATIENTS,
    "word-in-one-position": refused(*GEOMETRY),
}
"""What is right of a result, by the name of the case."""


@pytest.fixture(scope="module")
def segment_once(segmenter):
    """The segmenter, which labels the same voxels once: most cases show the same head."""
    known = {}

    class Remembering:
        model = segmenter.model

        def __call__(self, volume, /):
            frame = str(volume.frame_of_reference_uid).encode()  # the labels carry it into the SEG
            key = hashlib.sha256(volume.array.tobytes() + volume.affine.tobytes() + frame).hexdigest()
            if key not in known:
                known[key] = segmenter(volume)
            return known[key]

    return Remembering()


@pytest.fixture(scope="module")
def head(data, tmp_path_factory):
    """Every second slice of a head."""
    folder = tmp_path_factory.mktemp("head")
    for path in sorted((data / HEAD).iterdir())[::2]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def own_regions(head, segment_once):
    return _result([head], segment_once)["regions"]


def _result(paths, segmenter):
    study = None
    try:
        study = read_study(paths)
        report, objects = process(study, Tools(segmenter, NOW, options=OPTIONS))
    except LncError as error:
        return json.loads(rejection_json(error, study.caveats if study else ()))
    header = report.selection.chosen.header
    return {**json.loads(result_json(report, objects, {})), "chosen description": header.get("SeriesDescription")}


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_a_study_comes_out_as_its_table_says(name, data, head, own_regions, segment_once, tmp_path):
    source = data / "philips-ingenia-3t" if name == "trace-in-dti-first" else head
    command = [sys.executable, CASES / name / "make.py", source, tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    result = _result([tmp_path], segment_once) | {"own regions": own_regions}
    shown = {key: result.get(key) for key in ("rejected", "chosen description", "series", "caveats")}
    assert RIGHT[name](result), json.dumps(shown, indent=1)


def test_every_case_has_its_expectation():
    assert {path.parent.name for path in CASES.glob("*/make.py")} == set(RIGHT)
