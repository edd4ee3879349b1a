"""A model and a cohort → outputs of the network for every patient, in the units of an evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.model_selection import StratifiedKFold

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.inputs import Ints, NetworkOutputs, OutputsPerFold
from lnc_dicom.biomarker.network import (
    BiomarkerArchitecture,
    BiomarkerNetwork,
    Outputs,
    initialised_from,
    standardised_demographics,
)
from lnc_dicom.biomarker.predictor import BiomarkerModel
from lnc_dicom.biomarker.train.targets import Scales
from lnc_dicom.biomarker.train.trainer import BiomarkerSchedule, Epoch, predict, train_network

_INNER = 3
"""Inner folds: networks that predict the training patients of a fold without having been trained on them."""


def network_outputs(model: BiomarkerModel, cohort: Cohort) -> NetworkOutputs:
    """Give the outputs of a trained network for every patient, with age and sex where they are known."""
    scales = Scales(np.array(model.calibration.maps), np.array(model.calibration.stems))
    demographics = standardised_demographics(cohort.demographics)
    return _in_units(predict(model.network, cohort.crops, demographics), scales)


def _in_units(outputs: Outputs, scales: Scales) -> NetworkOutputs:
    both_sides = np.concatenate([scales.maps, scales.maps])
    return NetworkOutputs(
        outputs.features.numpy().astype(np.float64),
        outputs.maps.numpy() * both_sides[..., 1] + both_sides[..., 0],
        outputs.stems.numpy() * scales.stems[1] + scales.stems[0],
        outputs.groups.numpy().astype(np.float64),
    )


def retrained_per_fold(
    cohort: Cohort, start: BiomarkerNetwork | None, schedule: BiomarkerSchedule, progress: Callable[[str], None]
) -> OutputsPerFold:
    """Train a network anew for every fold, on its training patients only.

    The outputs for the training patients come from networks that were not trained on them either (inner folds); those
    for all others from a network trained on all training patients. Each fold is trained once.
    """
    known: dict[bytes, NetworkOutputs] = {}
    names = cohort.group_names

    def train_and_predict(training: Ints, predicted: Ints) -> tuple[Ints, NetworkOutputs]:
        nobody = cohort.subset(np.empty(0, np.int64))
        network = initialised_from(start, BiomarkerArchitecture(cohort.regions, len(names))) if start else None
        run = train_network(cohort.subset(training), nobody, names, schedule, _ignore, network)
        others = cohort.subset(predicted)
        demographics = standardised_demographics(others.demographics)
        return predicted, _in_units(predict(run.network.to("cpu"), others.crops, demographics), run.scales)

    def outputs(training: Ints, _test: Ints) -> NetworkOutputs:
        training = np.sort(training)
        key = training.tobytes()
        if key not in known:
            progress(f"training networks of fold {len(known) + 1}")
            parts = [train_and_predict(training, np.setdiff1d(np.arange(len(cohort)), training))]
            inner = StratifiedKFold(_INNER, shuffle=True, random_state=schedule.seed)
            for kept, left_out in inner.split(training, cohort.groups(names)[training]):
                parts.append(train_and_predict(training[kept], training[left_out]))
            known[key] = _merged(parts, len(cohort))
        return known[key]

    return outputs


def _ignore(_epoch: Epoch) -> None:
    pass


def _merged(parts: list[tuple[Ints, NetworkOutputs]], count: int) -> NetworkOutputs:
    """Merge outputs for subsets of the patients into the order of all patients."""
    order = np.argsort(np.concatenate([indices for indices, _ in parts]))
    if len(order) != count:
        raise ValueError("every patient must be predicted exactly once")
    values = [
        np.concatenate([getattr(outputs, name) for _, outputs in parts])[order]
        for name in ("features", "maps", "stems", "logits")
    ]
    return NetworkOutputs(*values)
