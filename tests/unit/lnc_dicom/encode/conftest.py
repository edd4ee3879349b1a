"""A report with everything that may be written: structures, maps of FA and CBF, predictions and their saliency.

`report` takes seconds; `everything`, which encodes all of it, several times as long.
"""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.encode import encode
from lnc_dicom.options import Options
from lnc_dicom.outputs import Output
from lnc_dicom.pipeline import analyse
from lnc_dicom.quantities import Quantity
from lnc_dicom.study.read import read_study
from lnc_dicom.tools import Tools
from lnc_dicom.types import AlignedMap, QuantityMap, Statistic
from tests.factories import NOW, BoxSegmenter, head, write_series
from tests.unit.lnc_dicom.encode.oracle import Oracle

SHIFT_MM = np.array([2.0, -3.0, 1.5])


def light_up(volume, labels, answers):
    """Saliency: a smooth slope over the whole head, another for every answer, brightest in the left putamen."""
    slope = np.indices(volume.shape).sum(axis=0) / sum(volume.shape)
    return {
        a: volume.with_array(np.where(labels.array == 3, 1.0, slope / (2 + k)).astype(np.float32))
        for k, a in enumerate(answers)
    }


def map_of(quantity, volume, factor):
    """A map on a grid of its own, moved against the head: values follow the place in the T1."""
    values = (factor * np.indices(volume.shape)[2] / volume.shape[2]).astype(np.float32)
    moved = volume.affine.copy()
    moved[:3, 3] += SHIFT_MM
    to_map_mm = np.eye(4)
    to_map_mm[:3, 3] = SHIFT_MM
    on_own_grid = type(volume)(values, moved, coordinate_system="PATIENT")
    statistics = {s.label: Statistic(factor / 2, factor / 10, factor / 2, 50) for s in STRUCTURES}
    return AlignedMap(QuantityMap(quantity, on_own_grid, on_own_grid, "made up", ()), to_map_mm, (), statistics)


def make_report(folder, *parts, **kwargs):
    write_series(folder, *parts, **kwargs)
    options = Options(objects=tuple(Output))
    tools = Tools(
        BoxSegmenter(),
        NOW,
        options=options,
        predictor=Oracle(structures=STRUCTURES[:6], sides=tuple(Side)),
        explainer=light_up,
    )
    report = analyse(read_study([folder]), tools)
    maps = (map_of(Quantity.FA, report.volume, 0.8), map_of(Quantity.CBF, report.volume, 60.0))
    measured = [
        replace(m, statistics={a.map.quantity: a.statistics[m.structure.label] for a in maps})
        for m in report.measurements
    ]
    return replace(report, maps=maps, measurements=tuple(measured))


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("study")
    return make_report(folder, *head((80, 72, 90), (1.9, 1.9, 1.9)), patient="CANARY^BIRD")


@pytest.fixture(scope="session")
def everything(report):
    """The report and all its objects by file name, as datasets and as bytes."""
    data = {o.name: o.data for o in encode(report, NOW, tuple(Output))}
    return SimpleNamespace(
        report=report, data=data, datasets={n: pydicom.dcmread(io.BytesIO(d)) for n, d in data.items()}
    )
