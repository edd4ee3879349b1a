import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import MARGIN, SHAPE
from lnc_dicom.cohort_table import Patient

REGIONS = ("caudate", "putamen")
GROUPS = ("low", "middle", "high")


def make_cohort(count, seed):
    """Patients whose crops show everything: FA and group as brightness of the region, CBF and stems as its size."""
    rng = np.random.default_rng(seed)
    size = tuple(n + 2 * MARGIN for n in SHAPE)
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in size], indexing="ij")
    radius_map = np.sqrt(sum(a**2 for a in axes))
    bright, radius = rng.normal(size=(count, 1)), rng.normal(size=(count, 1))
    crops = np.zeros((count, 2 * len(REGIONS), 2, *size), np.float16)
    for n in range(count):
        for s in range(2 * len(REGIONS)):
            mask = radius_map < 8 + 1.5 * radius[n, 0]
            crops[n, s, 1] = mask
            crops[n, s, 0] = 2 - 2 * mask + mask * bright[n, 0] + 0.2 * rng.normal(size=size)
    measured = np.stack([0.25 + 0.03 * bright, 50 + 8 * radius], axis=-1).repeat(2 * len(REGIONS), axis=1)
    group = np.clip(np.digitize(bright[:, 0], [-0.5, 0.5]), 0, 2)
    stems = np.clip(np.rint(4 + radius[:, 0]), 0, 9).astype(int)
    patients = tuple(
        Patient(f"p{n}", GROUPS[group[n]], (int(stems[n]), int(stems[n])), 50.0 + n % 20, "FM"[n % 2], "A")
        for n in range(count)
    )
    return Cohort(REGIONS, patients, torch.from_numpy(crops), measured, rng.normal(5, 1, (count, 6)))


@pytest.fixture(scope="session")
def cohort():
    return make_cohort(48, 1)


@pytest.fixture(scope="session")
def trained(cohort):
    """A narrow network, trained until it predicts what the crops show; takes 40 s of processor time."""
    from lnc_dicom.biomarker.network import BiomarkerArchitecture, BiomarkerNetwork
    from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, train_network

    torch.set_num_threads(1)
    torch.manual_seed(1)
    narrow = BiomarkerNetwork(BiomarkerArchitecture(REGIONS, len(GROUPS), width=8))
    schedule = BiomarkerSchedule(pretraining=3, finetuning=9, batch=4, rate=3e-3)
    return train_network(cohort, make_cohort(32, 2), GROUPS, schedule, lambda _: None, narrow)
