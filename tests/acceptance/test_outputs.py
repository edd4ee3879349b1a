"""Every kind of object of every real study, classic and enhanced: what other people's validators and readers say."""

import functools
import json
import subprocess

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from lnc_dicom.outputs import FILES_OF, Output, default_outputs
from lnc_dicom.study.nifti import read_nifti
from lnc_service.demo.main import embedded_archive
from tests.acceptance.conftest import lnc, wait_for
from tests.acceptance.test_process import STUDIES

OLD_TOOL = {"Error - Information Object Not found"}
"""dciodvfy of 2022 does not know the LABELMAP class, nor that its background may have number 0."""


@pytest.fixture(scope="module")
def written(data, tmp_path_factory):
    """Write every kind of a study, the first time that it is asked for."""

    @functools.cache
    def run(name):
        out = tmp_path_factory.mktemp("out")
        done = lnc("process", data / name, "--out", out, "--objects", ",".join(Output))
        assert done.returncode == 0, done.stderr
        return out

    return run


@pytest.fixture(params=STUDIES)
def out(request, written):
    return written(request.param)


def test_every_kind_is_there(out):
    for kind in Output:
        files = FILES_OF.get(kind, ("report.fhir.json",))
        assert any((out / file).is_file() for file in files), kind
    has_maps = bool(json.loads((out / "result.json").read_text())["maps"])
    assert (out / "summary-2.dcm").is_file() is has_maps
    objects = {o["file"] for o in json.loads((out / "result.json").read_text())["objects"]}
    assert objects == {p.name for p in out.glob("*.dcm")}


def test_no_validator_finds_an_error(out, program):
    for path in sorted(out.glob("*.dcm")):
        done = subprocess.run([program("dciodvfy"), path], capture_output=True, text=True, check=False)
        errors = {line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")}
        if path.name == "labelmap.dcm":
            assert len(errors - OLD_TOOL) == 1, errors
            assert "SegmentNumber of 0" in next(iter(errors - OLD_TOOL))
        else:
            assert errors == set(), path.name


def test_the_label_map_is_the_segmentation_for_highdicom_and_dcmqi(out, program, tmp_path):
    binary, label_map = (
        hd.seg.segread(out / f"{name}.dcm").get_volume(combine_segments=True) for name in ("segmentation", "labelmap")
    )
    command = [program("segimage2itkimage"), "--inputDICOM", out / "labelmap.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*command, "--mergeSegments", "-t", "nii"], check=True, capture_output=True)
    theirs = read_nifti(next(tmp_path.glob("*.nii*")))
    index = np.argwhere(binary.array)
    assert len(index) > 1000
    mm = index @ binary.affine[:3, :3].T + binary.affine[:3, 3]
    for other in (label_map, theirs):
        back = other.inverse_affine
        place = np.rint(mm @ back[:3, :3].T + back[:3, 3]).astype(int)
        np.testing.assert_array_equal(other.array[tuple(place.T)], binary.array[tuple(index.T)])
        assert int((other.array > 0).sum()) == len(index)


def test_dcmqi_reads_every_map_value_by_value(out, program, tmp_path):
    paths = sorted(out.glob("map-*.dcm"))
    assert len(paths) >= 1
    for path in paths:
        command = [program("paramap2itkimage"), "--inputDICOM", path, "--outputDirectory", tmp_path, "-n", path.stem]
        subprocess.run([*command, "-t", "nrrd"], check=True, capture_output=True)
        image = sitk.ReadImage(str(next(tmp_path.glob(f"{path.stem}*.nrrd"))))
        to_index = np.eye(4)
        to_index[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        to_index[:3, 3] = image.GetOrigin()
        theirs = sitk.GetArrayFromImage(image).transpose(2, 1, 0)
        ours = hd.imread(path).get_volume(apply_real_world_transform=False)
        some = np.argwhere(ours.array > 0)[::101]
        place = np.linalg.inv(to_index) @ ours.affine @ np.column_stack([some, np.ones(len(some))]).T
        np.testing.assert_array_equal(
            theirs[tuple(np.rint(place[:3]).astype(int))], ours.array[tuple(some.T)].astype(np.float32)
        )
        assert len(some) > 100


def test_saliency_lies_on_the_nuclei(out):
    labels = hd.seg.segread(out / "segmentation.dcm").get_volume(combine_segments=True)
    saliency = hd.imread(out / "map-saliency.dcm").get_volume(apply_real_world_transform=False)
    index = np.argwhere(np.isin(labels.array, range(1, 7)))
    back = saliency.inverse_affine @ labels.affine
    place = np.rint(back @ np.column_stack([index, np.ones(len(index))]).T)[:3].astype(int)
    inside = saliency.array[tuple(place)].mean()
    assert inside > 5 * saliency.array.mean()


def test_the_fhir_report_has_the_volumes_of_the_result(out):
    entries = json.loads((out / "report.fhir.json").read_text())["entry"]
    volumes = [
        e["resource"]["valueQuantity"]["value"]
        for e in entries
        if e["resource"].get("code", {}).get("coding", [{}])[0].get("code") == "118565006"
    ]
    result = json.loads((out / "result.json").read_text())
    assert volumes == pytest.approx([r["volume_ml"] * 1000 for r in result["regions"]], abs=0.06)


def test_only_what_was_chosen_is_written_and_an_unknown_kind_is_a_usage_error(data, tmp_path):
    study = data / "siemens-xa30-enhanced" / "5_anat-T1w_acq-tfl"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.dcm").write_bytes(b"of an earlier run")
    assert lnc("process", study, "--out", tmp_path / "out", "--objects", "seg, pdf").returncode == 0
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert names == {"segmentation.dcm", "report-pdf.dcm", "result.json", "features.npz"}
    done = lnc("process", study, "--out", tmp_path / "other", "--objects", "seg,CANARY")
    assert done.returncode == 2
    assert "CANARY" not in done.stderr
    assert not (tmp_path / "other").exists()


def test_every_destination_gets_its_own_kinds(service, orthanc, data, program, tmp_path):
    (tmp_path / "archive").mkdir()
    with embedded_archive(tmp_path / "archive") as port:
        service.config.write_text(
            service.config.read_text()
            + f'[[others]]\nhost = "127.0.0.1"\nport = {port}\nae_title = "ARCHIVE"\nobjects = ["text", "seg"]\n'
        )
        orthanc.start()
        service.start()
        service.send(program("storescu"), data / "siemens-xa30-enhanced/5_anat-T1w_acq-tfl")
        (job,) = wait_for(lambda: service.finished(1), 240)
    assert job.state == "DONE"
    arrived = [pydicom.dcmread(p, stop_before_pixels=True) for p in (tmp_path / "archive").glob("*.dcm")]
    assert sorted(d.SOPClassUID.name for d in arrived) == ["Enhanced SR Storage", "Segmentation Storage"]
    assert {m: len(o) for m, o in orthanc.objects().items()} == {"OT": 1, "SEG": 1, "SR": 1}
    written = {p.name for p in (service.spool / "results" / job.name).glob("*.dcm")}
    kinds = (*default_outputs(demonstration=True), Output.TEXT)
    assert written == {file for kind in kinds for file in FILES_OF[kind]} - {"summary-2.dcm"}  # there are no maps


def test_a_destination_that_is_away_keeps_nothing_from_the_others(service, orthanc, data, program, tmp_path):
    (tmp_path / "archive").mkdir()
    text = service.config.read_text().replace("[retry]", "[retry]\ngive_up_after_h = 0.0005")
    service.config.write_text(text)
    with embedded_archive(tmp_path / "archive") as port:
        service.config.write_text(
            service.config.read_text()
            + f'[[others]]\nhost = "127.0.0.1"\nport = {port}\nae_title = "ARCHIVE"\nobjects = ["seg"]\n'
        )
        service.start()  # and no Orthanc
        service.send(program("storescu"), data / "siemens-xa30-enhanced/5_anat-T1w_acq-tfl")
        (job,) = wait_for(lambda: service.finished(1), 240)
    assert (job.state, job.code) == ("FAILED", "LNC-201")
    assert len(list((tmp_path / "archive").glob("*.dcm"))) == 1
