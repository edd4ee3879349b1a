"""What a user names is found: files without hidden ones, studies by their UID."""

import pydicom

from lnc_dicom.research.sources import common_folder, files_under, images_among, studies_under


def test_hidden_files_and_other_files_are_left_out(image, tmp_path):
    (tmp_path / "a").mkdir()
    image.to_filename(tmp_path / "a" / "t1.nii.gz")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.nii").write_text("")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._t1.nii.gz").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert [p.name for p in files_under(tmp_path)] == ["t1.nii.gz", "notes.txt"]
    assert images_among(files_under(tmp_path)) == [tmp_path / "a" / "t1.nii.gz"]


def test_files_are_divided_by_study(study, tmp_path):
    second = tmp_path / "second"
    second.mkdir()
    for path in sorted(study.iterdir())[:3]:
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = "1.2.3"
        dataset.save_as(second / path.name)
    (second / "notes.txt").write_text("not DICOM")
    found = studies_under([*files_under(study), *files_under(second)])
    assert len(found) == 2
    assert len(found["1.2.3"]) == 3
    assert common_folder(found["1.2.3"]) == second
