"""The stages in order: a study in, a report and its DICOM objects out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from highdicom import Volume

from lnc_dicom.encode import EncodedObject, encode
from lnc_dicom.errors import NotMeasured
from lnc_dicom.maps.alignment import align
from lnc_dicom.maps.cbf import cbf_map, relative_cbf_map
from lnc_dicom.maps.fa import fa_map
from lnc_dicom.maps.regional import NAMES, measure_map
from lnc_dicom.measure.volumetry import measure, usable_labels
from lnc_dicom.options import settings_of_results
from lnc_dicom.outputs import Output
from lnc_dicom.predictions import Demographics, Target
from lnc_dicom.provenance import algorithm_of
from lnc_dicom.report import Report, compose, with_biomarker, with_change, with_maps, with_repairs
from lnc_dicom.study.demographics import demographics_of
from lnc_dicom.study.load import load_with_repairs
from lnc_dicom.study.select_t1 import select
from lnc_dicom.tools import Tools
from lnc_dicom.types import AlignedMap, Caveat, Quantity, QuantityMap, Segmented, Study

STAGES = ("select", "volume", "segment", "diffusion", "perfusion", "regions", "biomarker", "saliency", "encode")
"""Names of the stages, in order; progress bars and timings use them."""


def analyse(study: Study, tools: Tools) -> Report:
    """Measure one study. Reads pixels from disk; changes nothing."""
    chosen = tools.options
    with tools.stage("select"):
        selection = select(study)
        series = selection.map_series
    with tools.stage("volume"):
        volume, sources, repairs = load_with_repairs(selection.chosen)
        study = with_repairs(study, repairs)
    with tools.stage("segment"):
        segmented = tools.segmenter(volume)
    head = (volume, segmented, tools)
    with tools.stage("diffusion"):
        fa = _measured([(Quantity.FA, lambda: fa_map(series, chosen.diffusion))], *head)
    with tools.stage("perfusion"):
        makers = (
            (Quantity.CBF, lambda: cbf_map(series, chosen.perfusion)),
            (Quantity.RELATIVE_CBF, lambda: relative_cbf_map(series)),
        )
        cbf = _measured(makers, *head)
    with tools.stage("regions"):
        maps, caveats = (*fa[0], *cbf[0]), (*fa[1], *cbf[1])
        measurements = measure(segmented, maps)
        report = compose(study, selection, sources, volume, segmented, measurements, tools.segmenter.model)
        report = replace(with_maps(report, maps, caveats), settings=settings_of_results(chosen))
        report = with_change(report, algorithm_of(report.model))
    with tools.stage("biomarker"):
        if tools.predictor is not None:
            person = demographics_of(sources[0]) if chosen.biomarker.age_and_sex else Demographics()
            found = tools.predictor(volume, report.labels, person)
            report = with_biomarker(report, found, chosen.biomarker)
    with tools.stage("saliency"):
        return _explained(report, tools)


def _explained(report: Report, tools: Tools) -> Report:
    """Add what the answers rest on, where an object that is written shows it; disease only where it may be shown."""
    wanted = {Output.SALIENCY, Output.MAP} & set(tools.options.objects)
    if not wanted or report.biomarker is None or tools.explainer is None:
        return report
    answers = [a for a in Target if a is not Target.DISEASE or (report.shows_disease and report.biomarker.disease)]
    saliency = tools.explainer(report.volume, report.labels, answers)
    return replace(report, biomarker=replace(report.biomarker, saliency=saliency))


def _measured(
    makers: Iterable[tuple[Quantity, Callable[[], QuantityMap | None]]],
    volume: Volume,
    segmented: Segmented,
    tools: Tools,
) -> tuple[tuple[AlignedMap, ...], tuple[Caveat, ...]]:
    """Make, align and measure maps. The one place where a map that cannot be used becomes a caveat."""
    maps: list[AlignedMap] = []
    caveats: list[Caveat] = []
    for quantity, make in makers:
        try:
            found = make()
            if found is not None:
                aligned = align(found, volume, segmented)
                maps.append(measure_map(aligned, segmented, usable_labels(segmented), tools.options.maps))
                caveats += maps[-1].caveats
        except NotMeasured as error:
            caveats.append(Caveat(error.code, f"{NAMES[quantity]} not measured: {error.what}"))
    return tuple(maps), tuple(caveats)


def process(study: Study, tools: Tools) -> tuple[Report, tuple[EncodedObject, ...]]:
    """Measure one study and encode what was found."""
    report = analyse(study, tools)
    with tools.stage("encode"):
        return report, encode(report, tools.now, tools.options.objects)
