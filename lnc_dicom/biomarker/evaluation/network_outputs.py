"""A model and a cohort → what the network says of every patient, as evaluation wants it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.crops import MARGIN
from lnc_dicom.biomarker.evaluation.inputs import Ints, Seen, SeenInFold
from lnc_dicom.biomarker.network import Architecture, BiomarkerNetwork, Outputs, initialised_from, standardised
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.biomarker.train.targets import Scales
from lnc_dicom.biomarker.train.trainer import Epoch, Schedule, predict, train_network

VIEWS = 4
"""Views of every patient where leakage by slices is shown: crops that lie a voxel apart."""
_INNER = 3
"""Networks that see the training patients of a fold from outside."""


def seen_by(model: BiomarkerModel, cohort: Cohort, shift: int = 0) -> Seen:
    """Ask a trained network about every patient, with age and sex where they are known.

    shift
        Voxels by which the crops are moved along all axes.
    """
    crops = cohort.crops.roll((shift, shift, shift), (3, 4, 5)) if shift else cohort.crops
    scales = Scales(np.array(model.calibration.maps), np.array(model.calibration.stems))
    return _seen(predict(model.network, crops, standardised(cohort.persons)), scales)


def views_by(model: BiomarkerModel, cohort: Cohort) -> list[Seen]:
    """Ask about several views of every patient that differ by a voxel, as neighbouring slices do."""
    shifts = [0, 1, -1, 2][:VIEWS]
    if max(map(abs, shifts)) > MARGIN:
        raise ValueError("views lie beyond the margin of the crops")
    return [seen_by(model, cohort, shift) for shift in shifts]


def _seen(outputs: Outputs, scales: Scales) -> Seen:
    both = np.concatenate([scales.maps, scales.maps])
    return Seen(
        outputs.features.numpy().astype(np.float64),
        outputs.maps.numpy() * both[..., 1] + both[..., 0],
        outputs.stems.numpy() * scales.stems[1] + scales.stems[0],
        outputs.groups.numpy().astype(np.float64),
    )


def trained_in_fold(
    cohort: Cohort, start: BiomarkerNetwork | None, schedule: Schedule, progress: Callable[[str], None]
) -> SeenInFold:
    """Train a network anew for every fold, on its training patients only.

    What it says of the training patients comes from networks that did not learn from them either (inner folds); what
    it says of the others, from one that learned from all training patients. A fold is trained once.
    """
    known: dict[bytes, Seen] = {}
    names = cohort.group_names

    def ask(training: Ints, asked: Ints) -> tuple[Ints, Seen]:
        some, nobody = cohort.chosen(training), cohort.chosen(np.empty(0, np.int64))
        network = initialised_from(start, Architecture(cohort.regions, len(names))) if start else None
        run = train_network(some, nobody, names, schedule, _nothing, network)
        others = cohort.chosen(asked)
        return asked, _seen(predict(run.network.to("cpu"), others.crops, standardised(others.persons)), run.scales)

    def seen(training: Ints, _test: Ints) -> Seen:
        key = np.sort(training).tobytes()
        if key not in known:
            progress(f"training networks of fold {len(known) + 1}")
            training = np.sort(training)
            others = np.setdiff1d(np.arange(len(cohort)), training)
            parts = [ask(training, others)]
            inner = StratifiedKFold(_INNER, shuffle=True, random_state=schedule.seed)
            for rest, out in inner.split(training, cohort.groups(names)[training]):
                parts.append(ask(training[rest], training[out]))
            known[key] = _together(parts, len(cohort))
        return known[key]

    return seen


def _nothing(_epoch: Epoch) -> None:
    pass


def _together(parts: list[tuple[Ints, Seen]], count: int) -> Seen:
    """Put what was said of parts of the patients in the order of all."""
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    if len(order) != count:
        raise ValueError("every patient has to be asked about once")
    values = [
        np.concatenate([getattr(seen, name) for _, seen in parts])[order]
        for name in ("features", "maps", "stems", "logits")
    ]
    return Seen(*values)
