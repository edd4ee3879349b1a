import json

import lnc_dicom as lnc
from lnc_dicom.research.bids_derivative import write_description


def test_the_description_names_what_made_the_derivative_and_from_what(image, tmp_path):
    write_description(tmp_path, tmp_path / "raw", lnc.segment(image).model)
    about = json.loads((tmp_path / "dataset_description.json").read_text())
    assert {"Name", "BIDSVersion", "DatasetType", "GeneratedBy", "SourceDatasets", "DatasetLinks"} == set(about)
    assert about["DatasetLinks"]["raw"].startswith("file:///")
    assert (tmp_path / ".bidsignore").read_text() == "volumes.csv\n"
