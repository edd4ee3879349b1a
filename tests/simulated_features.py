"""Cohorts with simulated deep features: random projections of the properties shown by the T1, and a nuisance."""

import numpy as np
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.inputs import NetworkOutputs, OraclePredictions
from lnc_dicom.cohort_table import Patient
from lnc_dicom.simulate.parameters import GROUPS, REGIONS, SITES
from lnc_dicom.simulate.subjects import draw_people

CHOSEN = ("caudate", "putamen", "pallidum")
_PLACES = [REGIONS.index(name) for name in CHOSEN]
_FEATURES, _PERSON = 64, 40


def cohort_of(people):
    """Cohort with empty crops."""
    n = len(people)
    patients = tuple(
        Patient(
            f"CANARY-{i}",
            GROUPS[people.group[i]],
            tuple(int(k) for k in people.stems_read[i]),
            float(people.age[i]),
            "M" if people.male[i] else "F",
            SITES[people.site[i]].name,
        )
        for i in range(n)
    )
    maps = np.stack([_by_place(people.fa), _by_place(people.cbf)], axis=-1)
    volumes = np.concatenate([_by_place(people.volume), people.ventricle], axis=1)
    return Cohort(CHOSEN, patients, torch.zeros(n, 6, 1), maps, volumes)


def _by_place(values):
    """(n, 5, 2) → (n, 6), left regions then right regions."""
    return values[:, _PLACES].transpose(0, 2, 1).reshape(len(values), -1)


def _properties(people):
    """(n, 2, k): properties of the own side, of the other side, and head size, standardised."""
    parts = [np.log(people.volume), people.t1, np.log(people.ventricle)[:, None]]
    parts += [v[:, None] for v in (np.sqrt(people.spaces), np.sqrt(people.lacunes), people.scar_mm, people.caps_mm)]
    own = np.concatenate(parts, axis=1).transpose(0, 2, 1)
    head = np.broadcast_to(people.head[:, None, None], (len(own), 2, 1))
    both = np.concatenate([own, own[:, ::-1], head], axis=2)
    spread = both.std(axis=(0, 1))
    return (both - both.mean(axis=(0, 1))) / np.where(spread > 0, spread, 1)


def features_of(people, seed, noise=0.3, person=1.0):
    """(n, 6, features): properties and a nuisance per person, by a projection that all cohorts share, plus noise."""
    projection = np.random.default_rng(99)
    properties = _properties(people)
    n = len(people)
    nuisance = np.random.default_rng(seed).normal(size=(n, 1, _PERSON)) * np.ones((1, 2, 1))
    rng = np.random.default_rng((seed, 0))
    regions = []
    for _ in CHOSEN:
        w = projection.normal(size=(properties.shape[2], _FEATURES)) / np.sqrt(properties.shape[2])
        v = projection.normal(size=(_PERSON, _FEATURES)) / np.sqrt(_PERSON)
        regions.append(properties @ w + person * nuisance @ v + noise * rng.normal(size=(n, 2, _FEATURES)))
    return np.stack(regions, axis=2).reshape(n, 6, _FEATURES)


def network_outputs_of(people, design, seed, noise=0.3, person=1.0):
    """Outputs of a network that was trained on 400 other people."""
    others = draw_people(400, design, seed + 50_000)
    known = features_of(others, seed + 50_000, noise, person)
    features = features_of(people, seed, noise, person)
    flat, known_flat = features.reshape(len(people), -1), known.reshape(400, -1)

    def linear(target):
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(1, 4, 4)))
        return model.fit(known_flat, target.reshape(400, -1)).predict(flat)

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(known_flat, others.group)
    maps = np.stack([_by_place(others.fa), _by_place(others.cbf)], axis=-1)
    return NetworkOutputs(
        features, linear(maps).reshape(-1, 6, 2), linear(others.stems_read), model.decision_function(flat)
    )


def oracle_predictions(people, design, seed):
    """Predictions of linear regressions fitted to the T1 properties of 3,000 other people."""
    others = draw_people(3000, design, seed + 90_000)
    known, shown = others.t1_properties(), people.t1_properties()

    def linear(target):
        return make_pipeline(StandardScaler(), LinearRegression()).fit(known, target.reshape(3000, -1)).predict(shown)

    maps = linear(np.stack([_by_place(others.fa), _by_place(others.cbf)], axis=-1)).reshape(-1, 6, 2)
    stems = linear(others.stems_read)
    groups = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)).fit(known, others.group)
    return OraclePredictions(maps, stems, np.rint(stems).astype(int), groups.predict_proba(shown), GROUPS)
