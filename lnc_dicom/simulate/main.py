"""A plan → a folder of simulated patients: DICOM studies, cohort.csv, and the truth about them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnc_dicom.cohort_table import Patient, write_table
from lnc_dicom.errors import UnusableInput
from lnc_dicom.segment.synthesis.label_maps import Palette, load_label_map, load_palette
from lnc_dicom.simulate.dicom import write_study
from lnc_dicom.simulate.images import PreparedAnatomy, make_images, prepare_anatomy
from lnc_dicom.simulate.oracle import Oracle, predict_with_oracle
from lnc_dicom.simulate.parameters import GROUPS, REGIONS, SITES
from lnc_dicom.simulate.subjects import CohortDesign, People, draw_people

PLAN, TRUTH, ORACLE = "plan.json", "truth.csv", "oracle.csv"
"""Files beside cohort.csv: the plan, the truth, and the predictions of the oracle."""
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """Number of patients, seed and design of a simulated cohort."""

    patients: int
    seed: int
    design: CohortDesign


def simulate(anatomy: Path, out: Path, plan: SimulationPlan, progress: Callable[[str], None]) -> None:
    """Simulate every patient that the folder does not hold yet, then write the tables.

    anatomy
        Folder of label maps (NIfTI, FreeSurfer labels) and T1 priors. Several patients share the anatomy of a map.
    Raises UnusableInput if the folder holds another cohort, or if there is no label map.
    """
    _refuse_other_plan(out, plan)
    palette = load_palette(anatomy)
    maps = sorted(anatomy.glob("*.nii*"))
    if not maps:
        raise UnusableInput("no NIfTI label map (*.nii, *.nii.gz) in the folder")
    people = draw_people(plan.patients, plan.design, plan.seed)
    brain_ml = mean_brain_ml(maps, palette)
    done = sum((out / _name(i)).is_dir() for i in range(plan.patients))
    for number, path in enumerate(maps):
        missing = [i for i in range(plan.patients) if i % len(maps) == number and not (out / _name(i)).is_dir()]
        model = prepare_anatomy(load_label_map(path, palette), palette) if missing else None
        for i in missing:
            done += 1
            progress(f"patient {done} of {plan.patients}")
            if model is not None:
                _make(model, palette, people, i, plan.seed, brain_ml, out)
    _write_tables(out, people, plan)


def _name(person: int) -> str:
    return f"sim-{person + 1:04d}"


def _refuse_other_plan(out: Path, plan: SimulationPlan) -> None:
    """Raise UnusableInput if the folder was begun with another plan."""
    described = {"patients": plan.patients, "seed": plan.seed, **asdict(plan.design), "simulated": True}
    file = out / PLAN
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) != described:
        raise UnusableInput("the folder holds another simulated cohort; choose an empty folder")
    file.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def mean_brain_ml(maps: Sequence[Path], palette: Palette) -> float:
    """Mean brain volume in mL of the first label maps; head size is relative to it."""
    brain = palette.labels[~(palette.outside_brain | palette.csf)]
    sizes = []
    for path in maps[:5]:
        image = sitk.ReadImage(str(path))
        inside = np.isin(np.rint(sitk.GetArrayViewFromImage(image)).astype(np.int64), brain)
        sizes.append(float(inside.sum() * np.prod(image.GetSpacing())) / 1000)
    return float(np.mean(sizes))


def _make(
    model: PreparedAnatomy, palette: Palette, people: People, person: int, seed: int, brain_ml: float, out: Path
) -> None:
    """Write one patient to a temporary folder, and rename it when complete."""
    images = make_images(model, palette, people, person, seed * 100_003 + person, brain_ml)
    partial = out / f".{_name(person)}"
    shutil.rmtree(partial, ignore_errors=True)
    write_study(partial, images, seed, person, float(people.age[person]), male=bool(people.male[person]))
    partial.rename(out / _name(person))


def _write_tables(out: Path, people: People, plan: SimulationPlan) -> None:
    patients = [
        Patient(
            _name(i),
            GROUPS[people.group[i]],
            (int(people.stems_read[i, 0]), int(people.stems_read[i, 1])),
            float(people.age[i]),
            "M" if people.male[i] else "F",
            SITES[people.site[i]].name,
        )
        for i in range(plan.patients)
    ]
    write_table(out, patients)
    _write_csv(out / TRUTH, _truth_columns(people))
    _write_csv(
        out / ORACLE, _oracle_columns(predict_with_oracle(people, plan.design, plan.seed, age_and_sex_known=True))
    )


def _truth_columns(people: People) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {"head": people.head, "affected": people.affected}
    for k, side in enumerate(_SIDES):
        columns |= {f"stems_{side}": people.stems[:, k], f"spaces_{side}": people.spaces[:, k]}
        columns |= {f"lacunes_{side}": people.lacunes[:, k], f"scar_mm_{side}": people.scar_mm[:, k]}
        for r, region in enumerate(REGIONS):
            columns |= {f"{q} {region} {side}": getattr(people, q)[:, r, k] for q in ("fa", "cbf", "volume", "t1")}
    return columns


def _oracle_columns(oracle: Oracle) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for k, side in enumerate(_SIDES):
        columns |= {f"stems_{side}": oracle.stems[:, k], f"stems_class_{side}": oracle.stems_class[:, k]}
        for r, region in enumerate(REGIONS):
            columns |= {f"fa {region} {side}": oracle.fa[:, r, k], f"cbf {region} {side}": oracle.cbf[:, r, k]}
    return columns | {f"group {name}": oracle.group[:, g] for g, name in enumerate(GROUPS)}


def _write_csv(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write one row per patient, with the names of cohort.csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", *columns])
        for i in range(len(next(iter(columns.values())))):
            writer.writerow([_name(i), *(f"{float(c[i]):.5g}" for c in columns.values())])
