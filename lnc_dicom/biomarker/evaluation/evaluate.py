"""A cohort and what the network says of it → every score, comparison, test and warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap
from lnc_dicom.biomarker.evaluation.conclusions import UNBELIEVABLE, age_explains, verdicts
from lnc_dicom.biomarker.evaluation.cross_validation import Outcome, Setting, cross_validate, folds_of_rows
from lnc_dicom.biomarker.evaluation.design import Kind, Task, tasks_of
from lnc_dicom.biomarker.evaluation.group_tests import GroupRow, SideRow, group_rows, side_rows
from lnc_dicom.biomarker.evaluation.inputs import Array, Attainable, Ints, Options, Source
from lnc_dicom.biomarker.evaluation.leakage import alarms, split_patients
from lnc_dicom.biomarker.evaluation.learning_curve import Point, learn
from lnc_dicom.biomarker.evaluation.permutation import Permutation, permute
from lnc_dicom.biomarker.evaluation.scoring import Scored, SiteRow, Target, score, site_rows, statistics_of


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that was found; nothing in it names a patient.

    covariates
        What "age + sex" stands for in this cohort.
    frozen
        The network was trained on other patients and is the same in all folds.
    rejected
        How many patients could not be used, by code of the reason.
    alarms, explained
        Sentences for the top: why something must leak, and what age explains.
    findings
        What the scores mean, one sentence per target.
    outcomes, group, embedding
        For pictures: predictions, index of each patient's group (n,), first two principal components (n, 2).
    """

    patients: int
    regions: tuple[str, ...]
    group_names: tuple[str, ...]
    covariates: tuple[str, ...]
    options: Options
    frozen: bool
    rejected: Mapping[str, int]
    targets: tuple[Target, ...]
    permutations: tuple[Permutation, ...]
    learning: tuple[Point, ...]
    sites: tuple[SiteRow, ...]
    groups: tuple[GroupRow, ...]
    sides: tuple[SideRow, ...]
    alarms: tuple[str, ...]
    explained: tuple[str, ...]
    findings: tuple[str, ...]
    outcomes: tuple[Outcome, ...] = field(repr=False)
    group: Ints = field(repr=False)
    embedding: Array = field(repr=False)

    def outcome(self, kind: Kind) -> Outcome:
        """Predictions of the stems or of the disease."""
        return next(o for o in self.outcomes if o.task.kind is kind)


def evaluate(
    cohort: Cohort,
    source: Source,
    options: Options | None = None,
    oracle: Attainable | None = None,
    progress: Callable[[str], None] = _silent,
) -> Evaluation:
    """Evaluate a network on a cohort by nested cross-validation, and say what the numbers mean.

    source
        What the network says: `Seen` of a network trained on other patients, several of them for views of every
        patient, or a function that gives it for each fold.
    Raises BadCohort where the patients are too few for the folds.
    """
    setting = Setting.of(cohort, source, options or Options())
    outcomes = cross_validate(setting, oracle, progress)
    scored = statistics_of(outcomes, cohort.regions, len(cohort))
    bootstrap = Bootstrap(len(cohort), setting.options.resamples, setting.options.seed)
    targets = []
    for s in scored:
        progress(f"intervals of {s.name} {s.region}".rstrip())
        targets.append(score(s, bootstrap))
    permutations = tuple(permute(setting, Task(kind), progress) for kind in (Kind.STEMS, Kind.DISEASE))
    return _judge(setting, outcomes, tuple(targets), permutations, learn(setting, tasks_of(cohort), progress), scored)


def _judge(
    setting: Setting,
    outcomes: tuple[Outcome, ...],
    targets: tuple[Target, ...],
    permutations: tuple[Permutation, ...],
    learning: tuple[Point, ...],
    scored: tuple[Scored, ...],
) -> Evaluation:
    """Add the tables of the cohort, the alarm and the verdicts."""
    cohort, names = setting.cohort, setting.group_names
    bootstrap = Bootstrap(len(cohort), setting.options.resamples, setting.options.seed)
    groups = group_rows(cohort, names)
    rows = setting.rows(Task(Kind.STEMS))
    found = split_patients(rows.subject, folds_of_rows(setting, rows, 0)) + alarms(targets, permutations)
    return Evaluation(
        patients=len(cohort),
        regions=cohort.regions,
        group_names=names,
        covariates=covariate_names(cohort),
        options=setting.options,
        frozen=setting.frozen,
        rejected=dict(Counter(code for _, code in cohort.rejected)),
        targets=targets,
        permutations=permutations,
        learning=learning,
        sites=site_rows(scored, [p.site for p in cohort.patients], bootstrap),
        groups=groups,
        sides=side_rows(cohort, bootstrap),
        alarms=found,
        explained=age_explains(targets, groups),
        findings=((UNBELIEVABLE,) if found else ()) + verdicts(targets, permutations, covariate_names(cohort)),
        outcomes=outcomes,
        group=cohort.groups(names),
        embedding=_embedding(setting),
    )


def covariate_names(cohort: Cohort) -> tuple[str, ...]:
    """Name the columns of the covariates."""
    names = getattr(cohort, "covariate_names", ("age", "sex", "head size"))
    return tuple(names[: cohort.covariates.shape[1]])


def _embedding(setting: Setting) -> Array:
    """First two principal components of the standardised deep features of every patient, (n, 2)."""
    everyone = np.arange(len(setting.cohort))
    features = setting.views(everyone[setting.patients(0) != 0], everyone[setting.patients(0) == 0])[0].features
    model = make_pipeline(StandardScaler(), PCA(2, svd_solver="full"))
    return np.asarray(model.fit_transform(features.reshape(len(features), -1)))
