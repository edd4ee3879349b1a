"""The stages in order: a study in, a report and its DICOM objects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from highdicom import Volume
from pydicom import Dataset

from lnc_dicom.encode import EncodedObject, encode
from lnc_dicom.errors import NotMeasured
from lnc_dicom.maps.alignment import align
from lnc_dicom.maps.cbf import cbf_map, relative_cbf_map
from lnc_dicom.maps.fa import fa_map
from lnc_dicom.maps.regional import measure_map
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
    may_show_disease,
    passed_labels,
    study_caveats,
    volume_change,
)
from lnc_dicom.study.demographics import demographics_of
from lnc_dicom.study.load import load_with_repairs
from lnc_dicom.study.select_t1 import select
from lnc_dicom.tools import Tools
from lnc_dicom.types import AlignedMap, Caveat, QuantityMap, Role, Segmented, Series, Study

Head = tuple[Volume, Segmented, frozenset[int]]
"""The T1, its segmentation, and the labels of structures that passed their gates."""
Measured = tuple[tuple[AlignedMap, ...], tuple[Caveat, ...]]
"""Maps that were measured, and why others were not."""


def analyse(study: Study, tools: Tools) -> Report:
    """Measure one study. Reads pixels from disk; changes nothing. Raises a StudyRejected if the study is refused."""
    with tools.stage("select"):
        selection = select(study)
    with tools.stage("volume"):
        volume, sources, repairs = load_with_repairs(selection.chosen)
    with tools.stage("segment"):
        segmented, model = tools.segmenter(volume), tools.segmenter.model
        volumes = measure(segmented)
    maps, map_caveats = _measure_maps(selection.map_series, (volume, segmented, usable_labels(volumes)), tools)
    with tools.stage("regions"):
        measurements = with_statistics(volumes, maps)
        checks = accept(volume, segmented, measurements)
        change = volume_change(study, sources[0], measurements, algorithm_of(model))
        labels = passed_labels(segmented.labels, measurements)
    with tools.stage("biomarker"):
        predicted = _predict(volume, labels, sources[0], tools)
    with tools.stage("saliency"):
        biomarker = _explain(predicted, volume, labels, tools)
    options = tools.options.biomarker
    caveats = (*map_caveats, *change_caveats(change), *biomarker_caveats(biomarker, options))
    return Report(
        study=study,
        selection=selection,
        sources=sources,
        volume=volume,
        segmented=segmented,
        measurements=measurements,
        checks=checks,
        caveats=(*study_caveats(study, repairs, measurements), *caveats),
        model=model,
        maps=maps,
        biomarker=biomarker,
        shows_disease=may_show_disease(biomarker, options),
        settings=settings_of_results(tools.options),
        change=change,
    )


def _measure_maps(series: Mapping[Role, Series], head: Head, tools: Tools) -> Measured:
    """Measure FA, then CBF and relative CBF."""
    options = tools.options
    with tools.stage("diffusion"):
        fa, fa_caveats = _measure_each({Quantity.FA: partial(fa_map, series, options.diffusion)}, head, tools)
    with tools.stage("perfusion"):
        makers = {
            Quantity.CBF: partial(cbf_map, series, options.perfusion),
            Quantity.RELATIVE_CBF: partial(relative_cbf_map, series),
        }
        cbf, cbf_caveats = _measure_each(makers, head, tools)
    return (*fa, *cbf), (*fa_caveats, *cbf_caveats)


def _measure_each(makers: Mapping[Quantity, Callable[[], QuantityMap | None]], head: Head, tools: Tools) -> Measured:
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
    """Predict from the T1, with age and sex where the site allows it; None without a biomarker model."""
    if tools.predictor is None:
        return None
    person = demographics_of(header) if tools.options.biomarker.age_and_sex else Demographics()
    return tools.predictor(volume, labels, person)


def _explain(predicted: BiomarkerResult | None, volume: Volume, labels: Volume, tools: Tools) -> BiomarkerResult | None:
    """Add saliency where an object that is written shows it; of disease only where disease may be shown."""
    wanted = {Output.SALIENCY, Output.MAP} & set(tools.options.objects)
    if not wanted or predicted is None or tools.explainer is None:
        return predicted
    shows_disease = may_show_disease(predicted, tools.options.biomarker) and bool(predicted.disease)
    targets = [target for target in Target if target is not Target.DISEASE or shows_disease]
    return replace(predicted, saliency=tools.explainer(volume, labels, targets))


def process(study: Study, tools: Tools) -> tuple[Report, tuple[EncodedObject, ...]]:
    """Measure one study and encode what was found."""
    report = analyse(study, tools)
    with tools.stage("encode"):
        return report, encode(report, tools.now, tools.options.objects)
