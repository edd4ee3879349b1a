"""The stages in order: a study in, a report and its DICOM objects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.encode import EncodedObject, encode
from lnc_dicom.errors import (
    DoubledSlices,
    MissingSlices,
    NotMeasured,
    StudyRejected,
    UnevenSlices,
    UnreadablePixels,
    UnsupportedTransferSyntax,
)
from lnc_dicom.maps.alignment import align
from lnc_dicom.maps.cbf import cbf_map, relative_cbf_map
from lnc_dicom.maps.fa import fa_map
from lnc_dicom.maps.regional import measure_map
from lnc_dicom.measure.field_of_view import cut_sides
from lnc_dicom.measure.volumetry import measure, usable_labels, with_statistics
from lnc_dicom.options import settings_of_results
from lnc_dicom.outputs import Output
from lnc_dicom.predictions import BiomarkerResult, Demographics, Target
from lnc_dicom.provenance import algorithm_of
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import (
    Report,
    accept,
    biomarker_caveats,
    change_caveats,
    cut_caveats,
    passed_labels,
    study_caveats,
    volume_change,
    with_disease_withheld,
)
from lnc_dicom.study.demographics import demographics_of
from lnc_dicom.study.load import load_with_repairs
from lnc_dicom.study.select_t1 import Candidates, find_candidates
from lnc_dicom.study.selection import FailedSeries, Selection
from lnc_dicom.tools import Tools
from lnc_dicom.types import (
    AlignedMap,
    Caveat,
    Check,
    Measurement,
    QuantityMap,
    Role,
    Segmented,
    Series,
    Study,
)

UNREADABLE_T1 = (MissingSlices, DoubledSlices, UnevenSlices, UnsupportedTransferSyntax, UnreadablePixels)
"""Errors of a series before anything is computed: trying the next one costs nothing."""
MOST_SEGMENTED = 5
"""Of a study whose T1-weighted series are all refused by their images, so many are tried."""

Head = tuple[Volume, Segmented, frozenset[int]]
"""The T1, its segmentation, and the labels of structures that passed their gates."""
Measured = tuple[tuple[AlignedMap, ...], tuple[Caveat, ...]]
"""Maps that were measured, and why others were not."""


@dataclass(frozen=True, slots=True, eq=False)
class AcceptedT1:
    """A T1-weighted series that passed its gates: voxels, headers and repairs, labels, volumes, gates, cut sides."""

    volume: Volume
    sources: Sequence[Dataset]
    repairs: tuple[str, ...]
    segmented: Segmented
    volumes: tuple[Measurement, ...]
    checks: tuple[Check, ...]
    cut: Mapping[str, float]


def analyse(study: Study, tools: Tools) -> Report:
    """Measure one study. Reads pixels from disk; changes nothing. Raises a StudyRejected if the study is refused."""
    with tools.stage("select"):
        candidates = find_candidates(study)
    selection, t1 = first_that_passes(candidates, tools)
    volume, segmented, header = t1.volume, t1.segmented, t1.sources[0]
    maps, map_caveats = _measure_maps(selection.map_series, (volume, segmented, usable_labels(t1.volumes)), tools)
    with tools.stage("regions"):
        measurements = with_statistics(t1.volumes, maps)
        change = volume_change(study, header, measurements, algorithm_of(tools.segmenter.model))
        labels = passed_labels(segmented.labels, measurements)
    with tools.stage("biomarker"):
        predicted = _predict(volume, labels, header, tools)
    with tools.stage("saliency"):
        biomarker = _explain(predicted, volume, labels, tools)
    options = tools.options.biomarker
    caveats = (*cut_caveats(t1.cut), *map_caveats, *change_caveats(change))
    return Report(
        study=study,
        selection=selection,
        sources=t1.sources,
        volume=volume,
        segmented=segmented,
        measurements=measurements,
        checks=t1.checks,
        caveats=(*study_caveats(study, t1.repairs, measurements, selection.caveats), *caveats),
        model=tools.segmenter.model,
        maps=maps,
        biomarker=biomarker,
        prediction_caveats=biomarker_caveats(biomarker, options),
        settings=settings_of_results(tools.options),
        change=change,
    )


def first_that_passes(candidates: Candidates, tools: Tools) -> tuple[Selection, AcceptedT1]:
    """Try the candidates in order. Raises the error of the best one, with those of the others, where all fail.

    After `MOST_SEGMENTED` of them were segmented in vain, the rest are not tried. One volume is held at a time.
    """
    failed: list[FailedSeries] = []
    first: type[StudyRejected] = StudyRejected
    segmented = 0
    for candidate in candidates.ranked:
        try:
            t1 = _accepted(candidate.series, tools)
        except StudyRejected as error:
            first = first if failed else type(error)
            failed.append(FailedSeries(candidate.series, error.code, error.what))
            segmented += not isinstance(error, UNREADABLE_T1)
        else:
            return candidates.selection(failed), t1
        if segmented == MOST_SEGMENTED:
            break
    best, *others = failed
    untried = len(candidates.ranked) - len(failed)
    parts = [best.what, *map(str, others), *([f"{untried} more T1-weighted series were not tried"] if untried else [])]
    raise first("; ".join(parts))


def _accepted(series: Series, tools: Tools) -> AcceptedT1:
    """Read a series, segment it and check what was found. Raises a StudyRejected."""
    with tools.stage("volume"):
        volume, sources, repairs = load_with_repairs(series)
    with tools.stage("segment"):
        segmented = tools.segmenter(volume)
        volumes = measure(segmented)
        checks = accept(volume, segmented, volumes)
    return AcceptedT1(volume, sources, repairs, segmented, volumes, checks, cut_sides(volume))


def _measure_maps(series: Mapping[Role, Series], head: Head, tools: Tools) -> Measured:
    """Measure FA, then CBF and relative CBF."""
    options, measured = tools.options, tools.options.maps.measured
    with tools.stage("diffusion"):
        makers = {Quantity.FA: partial(fa_map, series, options.diffusion)}
        fa, fa_caveats = measure_each(makers if "fa" in measured else {}, head, tools)
    with tools.stage("perfusion"):
        makers = {
            Quantity.CBF: partial(cbf_map, series, options.perfusion),
            Quantity.RELATIVE_CBF: partial(relative_cbf_map, series),
        }
        cbf, cbf_caveats = measure_each(makers if "cbf" in measured else {}, head, tools)
    return (*fa, *cbf), (*fa_caveats, *cbf_caveats)


def measure_each(makers: Mapping[Quantity, Callable[[], QuantityMap | None]], head: Head, tools: Tools) -> Measured:
    """Make, align and measure maps. The one place where a map that cannot be used becomes a caveat."""
    volume, segmented, usable = head
    maps: list[AlignedMap] = []
    caveats: list[Caveat] = []
    for quantity, make in makers.items():
        try:
            found = make()
            if found is not None:
                aligned = align(found, volume, segmented)
                maps.append(measure_map(aligned, segmented, usable, tools.options.maps))
                caveats += maps[-1].caveats
        except NotMeasured as error:
            text = f"{QUANTITIES[quantity].name} not measured: {error.what}"
            caveats.append(Caveat(error.code, text, is_our_text=True))
    return tuple(maps), tuple(caveats)


def _predict(volume: Volume, labels: Volume, header: Dataset, tools: Tools) -> BiomarkerResult | None:
    """Predict from the T1, with age and sex where the site allows it; None without a biomarker model.

    What may not be shown is taken away here, so that nothing after this can show it.
    """
    if tools.predictor is None:
        return None
    person = demographics_of(header) if tools.options.biomarker.age_and_sex else Demographics()
    return with_disease_withheld(tools.predictor(volume, labels, person), tools.options.biomarker)


def _explain(predicted: BiomarkerResult | None, volume: Volume, labels: Volume, tools: Tools) -> BiomarkerResult | None:
    """Add saliency where an object that is written shows it; of disease only where there are probabilities."""
    if Output.SALIENCY not in tools.options.objects or predicted is None or tools.explainer is None:
        return predicted
    targets = [target for target in Target if target is not Target.DISEASE or predicted.disease]
    return replace(predicted, saliency=tools.explainer(volume, labels, targets))


def process(study: Study, tools: Tools) -> tuple[Report, tuple[EncodedObject, ...]]:
    """Measure one study and encode what was found."""
    report = analyse(study, tools)
    with tools.stage("encode"):
        return report, encode(report, tools.now, tools.options.objects)
