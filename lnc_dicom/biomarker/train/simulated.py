"""Simulated people → a cohort of crops, without DICOM and segmentation in between.

For the first phase of training: thousands of people in minutes, with true labels instead of segmented ones. The network
is fine-tuned afterwards on studies that went through the whole pipeline.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import MARGIN, SHAPE, cut_crops, volumetry_ml
from lnc_dicom.biomarker.train.privileged import privileged_targets_of
from lnc_dicom.cohort_table import Patient
from lnc_dicom.segment.synthesis.label_maps import load_label_map, load_palette
from lnc_dicom.simulate.images import make_deep_t1, prepare_anatomy
from lnc_dicom.simulate.main import mean_brain_ml
from lnc_dicom.simulate.parameters import GROUPS, REGIONS, SITES
from lnc_dicom.simulate.subjects import CohortDesign, People, draw_people


def simulate_crops(
    anatomy: Path, regions: tuple[str, ...], count: int, seed: int, cache: Path, progress: Callable[[str], None]
) -> Cohort:
    """Simulate the crops of `count` people, resuming from the cache (memory-mapped .npy files) if it exists."""
    design = CohortDesign()
    people = draw_people(count, design, seed)
    size = (count, 2 * len(regions), 2, *(n + 2 * MARGIN for n in SHAPE))
    cache.mkdir(parents=True, exist_ok=True)
    done_file, crops_file, volumes_file = cache / "done.npy", cache / "crops.npy", cache / "volumes.npy"
    if done_file.is_file():
        crops, volumes = (np.load(f, mmap_mode="r+") for f in (crops_file, volumes_file))
        done = np.load(done_file)
    else:
        crops = np.lib.format.open_memmap(crops_file, "w+", np.float16, size)
        volumes = np.lib.format.open_memmap(volumes_file, "w+", np.float64, (count, 2 * len(regions) + 2))
        done = np.zeros(count, bool)
    palette = load_palette(anatomy)
    maps = sorted(anatomy.glob("*.nii*"))
    brain_ml = mean_brain_ml(maps, palette)
    for number, path in enumerate(maps):
        wanted = [i for i in range(count) if i % len(maps) == number and not done[i]]
        if not wanted:
            continue
        progress(f"{int(done.sum())} of {count} people")
        prepared = prepare_anatomy(load_label_map(path, palette), palette)
        for i in wanted:
            t1, labels = make_deep_t1(prepared, palette, people, i, seed * 100_003 + i, brain_ml)
            crops[i] = cut_crops(t1, labels, regions, MARGIN).numpy()
            volumes[i] = volumetry_ml(labels, regions)
        done[wanted] = True
        np.save(done_file, done)
    return Cohort(
        regions,
        _patients(people),
        torch.from_numpy(np.asarray(crops)),
        _measured(people, regions),
        np.asarray(volumes),
        privileged_targets=privileged_targets_of(people, regions, np.asarray(volumes), design, seed),
    )


def _patients(people: People) -> tuple[Patient, ...]:
    return tuple(
        Patient(
            f"simulated-{i}",
            GROUPS[people.group[i]],
            (int(people.stems_read[i, 0]), int(people.stems_read[i, 1])),
            float(people.age[i]),
            "M" if people.male[i] else "F",
            SITES[people.site[i]].name,
        )
        for i in range(len(people))
    )


def _measured(people: People, regions: tuple[str, ...]) -> np.ndarray:
    """FA and CBF as the maps would show them, (n, s, 2)."""
    columns = [REGIONS.index(r) for r in regions]
    both = np.stack([people.fa[:, columns], people.cbf[:, columns]], axis=-1)
    return both.transpose(0, 2, 1, 3).reshape(len(people), 2 * len(columns), 2)
