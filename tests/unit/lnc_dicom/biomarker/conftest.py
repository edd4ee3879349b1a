import numpy as np
import pytest
import torch

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import MARGIN, SHAPE
from lnc_dicom.cohort_table import Patient

REGIONS = ("caudate", "putamen")
GROUPS = ("low", "middle", "high")


def make_cohort(count, seed):
    """People whose crops tell everything: brightness of the region is FA, its size CBF and stems, its sum the group."""
    chance = np.random.default_rng(seed)
    size = tuple(n + 2 * MARGIN for n in SHAPE)
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in size], indexing="ij")
    radius_map = np.sqrt(sum(a**2 for a in axes))
    bright, radius = chance.normal(size=(count, 1)), chance.normal(size=(count, 1))
    crops = np.zeros((count, 2 * len(REGIONS), 2, *size), np.float16)
    for n in range(count):
        for s in range(2 * len(REGIONS)):
            mask = radius_map < 8 + 1.5 * radius[n, 0]
            crops[n, s, 1] = mask
            crops[n, s, 0] = 2 - 2 * mask + mask * bright[n, 0] + 0.2 * chance.normal(size=size)
    measured = np.stack([0.25 + 0.03 * bright, 50 + 8 * radius], axis=-1).repeat(2 * len(REGIONS), axis=1)
    group = np.clip(np.digitize(bright[:, 0], [-0.5, 0.5]), 0, 2)
    stems = np.clip(np.rint(4 + radius[:, 0]), 0, 9).astype(int)
    patients = tuple(
        Patient(f"p{n}", GROUPS[group[n]], (int(stems[n]), int(stems[n])), 50.0 + n % 20, "FM"[n % 2], "A")
        for n in range(count)
    )
    return Cohort(REGIONS, patients, torch.from_numpy(crops), measured, chance.normal(5, 1, (count, 6)))


@pytest.fixture(scope="session")
def cohort():
    return make_cohort(48, 1)


@pytest.fixture(scope="session")
def trained(cohort):
    from lnc_dicom.biomarker.train.trainer import Schedule, train_network

    torch.set_num_threads(1)
    schedule = Schedule(pretraining=6, finetuning=24, batch=8, rate=3e-3)
    return train_network(cohort, make_cohort(32, 2), GROUPS, schedule, lambda _: None)
