import random
import shutil

import pydicom
import pytest
from pydicom.uid import RLELossless

from lnc_dicom.errors import LncError, NoFiles, PathMissing, SeveralStudies
from lnc_dicom.study.load import load
from lnc_dicom.study.read import UNREADABLE, read_study
from lnc_dicom.study.select_t1 import select
from tests.enhanced import enhanced
from tests.factories import head, layout, write_series
from tests.mutated_headers import write_mutated


def test_a_folder_gives_one_study_with_all_its_instances(tmp_path):
    paths = write_series(tmp_path)
    study = read_study([tmp_path])
    assert len(study.series) == 1
    assert len(study.series[0].instances) == len(paths)
    assert study.caveats == ()


def test_a_file_that_is_not_dicom_is_named_and_the_rest_is_used(tmp_path):
    paths = write_series(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    study = read_study([tmp_path])
    assert len(study.series[0].instances) == len(paths)
    assert [c.code for c in study.caveats] == [UNREADABLE]
    assert "notes.txt" in study.caveats[0].text


@pytest.mark.parametrize("part", [0.98, 0.5, 0.01])
def test_a_truncated_copy_is_named_and_the_good_one_is_used(tmp_path, part):
    paths = write_series(tmp_path / "series")
    whole = paths[3].read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: int(len(whole) * part)])
    study = read_study([tmp_path])
    assert len(study.series[0].instances) == len(paths)
    assert len(study.caveats) == 1
    assert "cut.dcm" in study.caveats[0].text


def test_a_truncated_compressed_object_is_named(tmp_path):
    paths = write_series(tmp_path)
    dataset = pydicom.dcmread(paths[0])
    dataset.compress(RLELossless)
    dataset.save_as(paths[0])
    assert read_study([tmp_path]).caveats == ()
    paths[0].write_bytes(paths[0].read_bytes()[:-200])
    assert "0000.dcm" in read_study([tmp_path]).caveats[0].text


def test_the_same_object_twice_counts_once(tmp_path):
    paths = write_series(tmp_path)
    (tmp_path / "again.dcm").write_bytes(paths[0].read_bytes())
    assert len(read_study([tmp_path]).series[0].instances) == len(paths)


@pytest.mark.parametrize(("count", "text"), [(1, "1 object shares its"), (2, "2 objects share their")])
def test_different_objects_with_one_uid_are_counted_in_a_caveat_and_the_first_is_used(tmp_path, count, text):
    paths = write_series(tmp_path)
    for path in paths[:count]:
        other = pydicom.dcmread(path)
        other.EchoTime = 99
        other.save_as(path.with_name(f"z{path.name}"))
    study = read_study([tmp_path])
    assert len(study.series[0].instances) == len(paths)
    assert all(i.header.EchoTime != 99 for i in study.series[0].instances)
    (caveat,) = study.caveats
    assert caveat.code == UNREADABLE
    assert caveat.text.startswith(f"{text} SOP Instance UID")


def test_file_names_do_not_matter(tmp_path):
    paths = write_series(tmp_path)
    before = [i.header.SOPInstanceUID for i in read_study([tmp_path]).series[0].instances]
    for i, path in enumerate(paths):
        path.rename(tmp_path / f"{(i * 37) % 101:03d}-{i}.ima")
    assert [i.header.SOPInstanceUID for i in read_study([tmp_path]).series[0].instances] == before


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(NoFiles):
        read_study([tmp_path])


def test_a_folder_without_dicom_is_refused_and_its_files_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(NoFiles, match=r"a\.txt"):
        read_study([tmp_path])


def test_a_path_that_does_not_exist_is_refused_by_name(tmp_path):
    with pytest.raises(PathMissing, match="nowhere"):
        read_study([tmp_path / "nowhere"])


def test_two_studies_are_refused(tmp_path):
    write_series(tmp_path / "a")
    write_series(tmp_path / "b")
    with pytest.raises(SeveralStudies):
        read_study([tmp_path])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small single-frame series and the same head as one multi-frame image."""
    folder = tmp_path_factory.mktemp("made")
    paths = write_series(folder / "single", *layout(*head((8, 8, 22)), (2, 1, 0), (1, 1, 1)))
    (folder / "enhanced").mkdir()
    whole = enhanced([pydicom.dcmread(path) for path in paths])
    whole.save_as(folder / "enhanced" / "0.dcm", enforce_file_format=True)
    return paths, [folder / "enhanced" / "0.dcm"]


@pytest.mark.parametrize("draws", [range(40), pytest.param(range(40, 1000), marks=pytest.mark.slow)])
def test_no_header_ends_in_anything_but_a_reason(made, tmp_path, draws, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    outcomes = set()
    for draw in draws:
        chance = random.Random(draw)  # noqa: S311 - draws of a test
        folder = tmp_path / str(draw)
        write_mutated(folder, made[draw % 3 == 2], chance)
        try:
            load(select(read_study([folder])).chosen)
            outcomes.add("read")
        except LncError as error:
            outcomes.add(error.code)
        except Exception as error:
            error.add_note(f"draw {draw}")
            raise
        shutil.rmtree(folder)
    assert {"read", "LNC-103"} <= outcomes
    assert not {code for code in outcomes if code.startswith("LNC-3")}


def _not_an_image(path, sop_class, absent, **attributes):
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    for name in absent:
        delattr(dataset, name)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path.with_name("other.dcm"), enforce_file_format=True)
    return path.with_name("other.dcm")


IMAGE = ("Rows", "Columns", "BitsAllocated", "PixelData")
OTHERS = {
    "private, without pixels": ("1.3.46.670589.11.0.0.12.2", IMAGE, {}),
    "private, with a size": ("1.3.46.670589.11.0.0.12.2", ("BitsAllocated", "PixelData"), {}),
    "MR spectroscopy": (pydicom.uid.MRSpectroscopyStorage, ("BitsAllocated", "PixelData"), {"NumberOfFrames": 1}),
    "presentation state": (pydicom.uid.GrayscaleSoftcopyPresentationStateStorage, IMAGE, {"Modality": "PR"}),
    "PDF": (pydicom.uid.EncapsulatedPDFStorage, IMAGE, {"Modality": "DOC", "EncapsulatedDocument": b"%PDF"}),
    "colour picture, 4:2:2": (
        pydicom.uid.SecondaryCaptureImageStorage,
        (),
        {
            "SamplesPerPixel": 3,
            "BitsAllocated": 8,
            "PhotometricInterpretation": "YBR_FULL_422",
            "PlanarConfiguration": 0,
        },
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_whole_objects_of_other_kinds_are_not_called_truncated_and_cut_ones_are(tmp_path, kind):
    paths = write_series(tmp_path / "series", *layout(*head((8, 8, 22)), (2, 1, 0), (1, 1, 1)))
    path = _not_an_image(paths[0], *OTHERS[kind][:2], **OTHERS[kind][2])
    assert read_study([tmp_path]).caveats == ()
    path.write_bytes(path.read_bytes()[:-3])
    assert ["other.dcm" in caveat.text for caveat in read_study([tmp_path]).caveats] == [True]
