"""The stages in order: a study in, a report and its DICOM objects out."""

from __future__ import annotations

from lnc_dicom.encode import EncodedObject, encode
from lnc_dicom.regions import measure
from lnc_dicom.report import compose
from lnc_dicom.select import select
from lnc_dicom.types import Report, Study, Tools
from lnc_dicom.volume import load

STAGES = ("select", "volume", "segment", "regions", "encode")
"""Names of the stages, in order; progress bars and timings use them."""


def analyse(study: Study, tools: Tools) -> Report:
    """Measure one study. Reads pixels from disk; changes nothing."""
    with tools.stage("select"):
        selection = select(study)
    with tools.stage("volume"):
        volume, sources = load(selection.chosen)
    with tools.stage("segment"):
        segmented = tools.segmenter(volume)
    with tools.stage("regions"):
        measurements = measure(segmented)
        return compose(study, selection, sources, volume, segmented, measurements, tools.segmenter.model)


def process(study: Study, tools: Tools) -> tuple[Report, tuple[EncodedObject, ...]]:
    """Measure one study and encode what was found."""
    report = analyse(study, tools)
    with tools.stage("encode"):
        return report, encode(report, tools.now)
