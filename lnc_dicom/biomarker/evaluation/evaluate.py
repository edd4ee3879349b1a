"""A cohort and the network's outputs for it → every score, comparison, test and warning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lnc_dicom.biomarker.cohort import Cohort
from lnc_dicom.biomarker.evaluation.bootstrap import Bootstrap
from lnc_dicom.biomarker.evaluation.conclusions import UNBELIEVABLE, age_explains, findings_of
from lnc_dicom.biomarker.evaluation.cross_validation import Setting, TaskResult, cross_validate
from lnc_dicom.biomarker.evaluation.design import Task, TaskKind, tasks_of
from lnc_dicom.biomarker.evaluation.group_tests import GroupComparison, SideComparison, compare_groups, compare_sides
from lnc_dicom.biomarker.evaluation.inputs import Array, EvaluationOptions, Ints, OraclePredictions, OutputSource
from lnc_dicom.biomarker.evaluation.leakage import alarms, split_patients
from lnc_dicom.biomarker.evaluation.learning_curve import LearningPoint, learning_curve
from lnc_dicom.biomarker.evaluation.permutation import PermutationTest, permutation_test
from lnc_dicom.biomarker.evaluation.scoring import (
    SiteScores,
    TargetScores,
    TargetStatistics,
    score,
    score_sites,
    statistics_of,
)


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything an evaluation has found; nothing in it names a patient.

    covariates
        Names of the covariates of this cohort, which "age + sex" stands for.
    frozen
        One network, trained on other patients, was used in all folds.
    rejected
        Number of patients who could not be used, by code of the error.
    alarms, explained_by_age
        Sentences for the top of the report: signs of leakage, and tasks whose skill age alone explains.
    findings
        What the scores mean, one sentence per target.
    results, group, embedding
        For figures: predictions, index of each patient's group (n,), first two principal components of the deep
        features (n, 2).
    """

    patients: int
    regions: tuple[str, ...]
    group_names: tuple[str, ...]
    covariates: tuple[str, ...]
    options: EvaluationOptions
    frozen: bool
    rejected: Mapping[str, int]
    targets: tuple[TargetScores, ...]
    permutations: tuple[PermutationTest, ...]
    learning_curve: tuple[LearningPoint, ...]
    sites: tuple[SiteScores, ...]
    groups: tuple[GroupComparison, ...]
    sides: tuple[SideComparison, ...]
    alarms: tuple[str, ...]
    explained_by_age: tuple[str, ...]
    findings: tuple[str, ...]
    results: tuple[TaskResult, ...] = field(repr=False)
    group: Ints = field(repr=False)
    embedding: Array = field(repr=False)

    def result(self, kind: TaskKind) -> TaskResult:
        """Give the predictions of the stems or of the disease."""
        return next(o for o in self.results if o.task.kind is kind)


def evaluate(
    cohort: Cohort,
    source: OutputSource,
    options: EvaluationOptions | None = None,
    oracle: OraclePredictions | None = None,
    progress: Callable[[str], None] = _silent,
) -> Evaluation:
    """Evaluate a network on a cohort by nested cross-validation.

    source
        Outputs of a network trained on other patients, or a function that gives them for each fold.
    Raises BadCohort if there are too few patients for the folds.
    """
    setting = Setting.of(cohort, source, options or EvaluationOptions())
    results = cross_validate(setting, oracle, progress)
    statistics = statistics_of(results, cohort.regions, len(cohort))
    bootstrap = Bootstrap(len(cohort), setting.options.resamples, setting.options.seed)
    targets = []
    for one in statistics:
        progress(f"intervals of {one.name} {one.region}".rstrip())
        targets.append(score(one, bootstrap))
    tests = tuple(permutation_test(setting, Task(kind), progress) for kind in (TaskKind.STEMS, TaskKind.DISEASE))
    curve = learning_curve(setting, tasks_of(cohort), progress)
    return _assemble(setting, results, tuple(targets), tests, curve, statistics)


def _assemble(
    setting: Setting,
    results: tuple[TaskResult, ...],
    targets: tuple[TargetScores, ...],
    permutations: tuple[PermutationTest, ...],
    curve: tuple[LearningPoint, ...],
    statistics: tuple[TargetStatistics, ...],
) -> Evaluation:
    """Add the tables of the cohort, the leakage alarm and the findings."""
    cohort, names = setting.cohort, setting.group_names
    bootstrap = Bootstrap(len(cohort), setting.options.resamples, setting.options.seed)
    groups = compare_groups(cohort, names)
    samples = setting.samples(Task(TaskKind.STEMS))
    found = split_patients(samples.subject, setting.outer_folds(samples, 0)) + alarms(targets, permutations)
    return Evaluation(
        patients=len(cohort),
        regions=cohort.regions,
        group_names=names,
        covariates=cohort.covariate_names,
        options=setting.options,
        frozen=setting.frozen,
        rejected=MappingProxyType(Counter(code for _, code in cohort.rejected)),
        targets=targets,
        permutations=permutations,
        learning_curve=curve,
        sites=score_sites(statistics, [p.site for p in cohort.patients], bootstrap),
        groups=groups,
        sides=compare_sides(cohort, bootstrap),
        alarms=found,
        explained_by_age=age_explains(targets, groups),
        findings=((UNBELIEVABLE,) if found else ()) + findings_of(targets, permutations, cohort.covariate_names),
        results=results,
        group=cohort.groups(names),
        embedding=_embedding(setting),
    )


def _embedding(setting: Setting) -> Array:
    """First two principal components of the standardised deep features of every patient, (n, 2)."""
    everyone = np.arange(len(setting.cohort))
    first = setting.patients(0) == 0
    features = setting.outputs(everyone[~first], everyone[first]).features
    model = make_pipeline(StandardScaler(), PCA(2, svd_solver="full"))
    return np.asarray(model.fit_transform(features.reshape(len(features), -1)))
