"""CBF and FA from files of BIDS: the numbers of the models, and errors that name what is missing."""

import json

import nibabel as nib
import numpy as np
import pytest

from lnc_dicom.errors import NoM0, UnpairedVolumes, UnreadableSeries, UnsupportedLabelling
from lnc_dicom.options import DiffusionOptions, PerfusionOptions
from lnc_dicom.research.map_files import cbf_of_file, fa_of_file

TOLD = {
    "ArterialSpinLabelingType": "PCASL",
    "PostLabelingDelay": 1.8,
    "LabelingDuration": 1.8,
    "MRAcquisitionType": "3D",
}
TOLD |= {"MRAcquisitionType": "3D", "BackgroundSuppression": False, "RepetitionTimePreparation": 8.0}
M0, DIFFERENCE = 1000.0, 8.0


def _write(folder, shows, told=TOLD):
    level = {"m0scan": M0, "control": M0, "label": M0 - DIFFERENCE, "deltam": DIFFERENCE}
    array = np.ones((8, 8, 8, len(shows)), np.float32) * [level[what] for what in shows]
    path = folder / "sub-01_asl.nii.gz"
    nib.Nifti1Image(array.astype(np.float32), np.diag([3, 3, 3, 1])).to_filename(path)
    (folder / "sub-01_asl.json").write_text(json.dumps(told))
    (folder / "sub-01_aslcontext.tsv").write_text("\n".join(["volume_type", *shows]) + "\n")
    return path


@pytest.mark.parametrize(
    "shows", [["m0scan", "control", "label"], ["label", "control", "label", "control"], ["deltam", "m0scan"]]
)
def test_cbf_is_that_of_the_consensus_formula(tmp_path, shows):
    found = cbf_of_file(_write(tmp_path, shows), PerfusionOptions())
    expected = 6000 * 0.9 * DIFFERENCE * np.exp(1.8 / 1.65) / (2 * 0.85 * 1.65 * M0 * (1 - np.exp(-1.8 / 1.65)))
    assert np.allclose(found.values.array, expected, rtol=1e-4)
    assert found.caveats == ()


def test_what_labelling_lacks_is_named(tmp_path):
    suppressed = {**TOLD, "BackgroundSuppression": True}
    with pytest.raises(NoM0):
        cbf_of_file(_write(tmp_path, ["control", "label"], suppressed), PerfusionOptions())
    with pytest.raises(UnsupportedLabelling, match="ArterialSpinLabelingType"):
        cbf_of_file(_write(tmp_path, ["control", "label"], {}), PerfusionOptions())
    path = _write(tmp_path, ["control", "label"])
    (tmp_path / "sub-01_aslcontext.tsv").unlink()
    with pytest.raises(UnpairedVolumes, match="aslcontext"):
        cbf_of_file(path, PerfusionOptions())


def test_diffusion_without_tables_is_refused(tmp_path):
    path = tmp_path / "dwi.nii.gz"
    nib.Nifti1Image(np.ones((4, 4, 4, 7), np.float32), np.eye(4)).to_filename(path)
    with pytest.raises(UnreadableSeries, match=r"\.bval"):
        fa_of_file(path, DiffusionOptions())
