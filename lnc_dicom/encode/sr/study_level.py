"""What belongs to no single structure → TID 1501 groups: asymmetry of pairs, quality of the images."""

from __future__ import annotations

import math
from functools import partial

from highdicom.sr import FindingSite, MeasurementsAndQualitativeEvaluations
from pydicom.sr.coding import Code

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import (
    ASYMMETRY,
    BILATERAL,
    BRAIN,
    DEGREE,
    INDEX_OF_SIDES,
    LOCAL_SCHEME,
    MILLIMETRE,
    NO_UNITS,
    PARTLY_USABLE,
    QUALITY,
    STRUCTURE,
    USABLE,
)
from lnc_dicom.encode.provenance import Origin
from lnc_dicom.encode.sr.groups import Topic, topic_groups
from lnc_dicom.encode.sr.items import judged, measured
from lnc_dicom.encode.sr.outline import Canvas
from lnc_dicom.measure.gates import EDGE_WIDTH, MISFIT, TURN
from lnc_dicom.measure.volumetry import asymmetry
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Asymmetry

_DIGITS = 4
UNITS = {EDGE_WIDTH.code: MILLIMETRE, MISFIT.code: MILLIMETRE, TURN.code: DEGREE}
"""Units of the gates' numbers, by code; all others have none."""


def overall_groups(report: Report, origin: Origin, canvas: Canvas) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give a group per pair of structures that has an asymmetry, and those for the quality of the images."""
    pairs = [group for row in asymmetry(report.measurements) for group in _asymmetry(row, origin, canvas)]
    return [*pairs, *_quality(report, origin, canvas)]


def _asymmetry(row: Asymmetry, origin: Origin, canvas: Canvas) -> list[MeasurementsAndQualitativeEvaluations]:
    """(L - R) / ((L + R) / 2) of a pair, shown between the two; what is not defined is left out."""
    values = {"volume": row.volume, **{q.value: v for q, v in row.quantities.items()}}
    items = [measured(ASYMMETRY[name], v, NO_UNITS, _DIGITS) for name, v in values.items() if v is not None]
    site = FindingSite(STRUCTURE[row.name], laterality=BILATERAL)
    between = partial(canvas.anchor, [s.label for s in STRUCTURES if s.name == row.name])
    return topic_groups(Topic(f"{row.name.capitalize()}, asymmetry", site, between, INDEX_OF_SIDES), origin, items)


def _quality(report: Report, origin: Origin, canvas: Canvas) -> list[MeasurementsAndQualitativeEvaluations]:
    """Numbers of the study's gates, and whether the images could be used for every structure."""
    failed = [failure_text(m) for m in report.measurements if not m.passed]
    verdict = judged(QUALITY, PARTLY_USABLE if failed else USABLE, "; ".join(failed))
    items = [
        measured(Code(c.code, LOCAL_SCHEME, c.name), c.value, UNITS.get(c.code, NO_UNITS), _DIGITS)
        for c in report.checks
        if math.isfinite(c.value)
    ]
    topic = Topic("Images, quality", FindingSite(BRAIN), partial(canvas.anchor, [s.label for s in STRUCTURES]))
    return topic_groups(topic, origin, items, [verdict])
