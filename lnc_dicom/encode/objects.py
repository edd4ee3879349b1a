"""Report → its DICOM objects, in the order in which they are sent."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import Dataset

from lnc_dicom.encode.pages.pdf import encapsulated_pdf
from lnc_dicom.encode.pages.predictions_page import predictions_page
from lnc_dicom.encode.pages.saliency import saliency_overlay
from lnc_dicom.encode.pages.summary import summary
from lnc_dicom.encode.pages.summary_page import draw_pages
from lnc_dicom.encode.parametric_map import parametric_maps
from lnc_dicom.encode.provenance import Provenance, provenance_of
from lnc_dicom.encode.seg.binary import segmentation
from lnc_dicom.encode.seg.labelmap import labelmap
from lnc_dicom.encode.sr.document import measurement_report
from lnc_dicom.encode.sr.predictions import prediction_report
from lnc_dicom.encode.sr.text_report import text_report
from lnc_dicom.outputs import DEFAULT_OUTPUTS, FILES_OF, Output
from lnc_dicom.report import Report


@dataclass(frozen=True, slots=True)
class EncodedObject:
    """One encoded DICOM object: `name` is a file name, `sop_class` the name of the class, `data` a Part 10 file."""

    name: str
    sop_class: str
    sop_instance_uid: str
    series_instance_uid: str
    data: bytes = field(repr=False)


def encode(report: Report, now: datetime, kinds: Collection[Output] = DEFAULT_OUTPUTS) -> tuple[EncodedObject, ...]:
    """Encode the chosen kinds of objects. The same report and time give the same bytes."""
    return tuple(_encoded(name, dataset) for name, dataset in _datasets(report, provenance_of(report, now), kinds))


def _datasets(report: Report, provenance: Provenance, kinds: Collection[Output]) -> Iterator[tuple[str, Dataset]]:
    """Make one object after the other, with its file name."""
    if {Output.SEG, Output.SR, Output.LABELMAP} & set(kinds):
        yield from _with_segments(report, provenance, kinds)
    if {Output.SUMMARY, Output.PDF} & set(kinds):
        yield from _with_pages(report, provenance, kinds)
    if Output.BIOMARKER in kinds:
        yield from _named(
            Output.BIOMARKER, [*prediction_report(report, provenance), *predictions_page(report, provenance)]
        )
    if Output.SALIENCY in kinds:
        yield from _named(Output.SALIENCY, saliency_overlay(report, provenance))
    if Output.MAP in kinds:
        yield from parametric_maps(report, provenance)
    if Output.TEXT in kinds:
        yield from _named(Output.TEXT, [text_report(report, provenance)])


def _with_segments(report: Report, provenance: Provenance, kinds: Collection[Output]) -> Iterator[tuple[str, Dataset]]:
    """Make the segmentation and what needs it: the SR refers to its segments, the label map has the same segments."""
    seg = segmentation(report, provenance)
    if Output.SEG in kinds:
        yield from _named(Output.SEG, [seg])
    if Output.SR in kinds:
        yield from _named(Output.SR, [measurement_report(report, provenance, seg)])
    if Output.LABELMAP in kinds:
        yield from _named(Output.LABELMAP, [labelmap(report, provenance, seg)])


def _with_pages(report: Report, provenance: Provenance, kinds: Collection[Output]) -> Iterator[tuple[str, Dataset]]:
    """Draw the pages once, for all objects that show them."""
    pages = draw_pages(report, provenance.now)
    if Output.SUMMARY in kinds:
        yield from _named(Output.SUMMARY, summary(report, provenance, pages))
    if Output.PDF in kinds:
        yield from _named(Output.PDF, [encapsulated_pdf(report, provenance, pages)])


def _named(kind: Output, datasets: Sequence[Dataset]) -> Iterator[tuple[str, Dataset]]:
    yield from zip(FILES_OF[kind], datasets, strict=False)  # not every study has every page


def _encoded(name: str, dataset: Dataset) -> EncodedObject:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return EncodedObject(
        name,
        dataset.SOPClassUID.name,
        str(dataset.SOPInstanceUID),
        str(dataset.SeriesInstanceUID),
        buffer.getvalue(),
    )
