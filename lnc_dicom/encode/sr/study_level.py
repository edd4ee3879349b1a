"""Asymmetry of pairs and quality of the images → TID 1501 groups."""

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
from lnc_dicom.encode.provenance import Provenance
from lnc_dicom.encode.sr.groups import Topic, topic_groups
from lnc_dicom.encode.sr.items import evaluation_item, number_item
from lnc_dicom.encode.sr.outline import Placement
from lnc_dicom.measure.gates import EDGE_WIDTH, MISFIT, TURN
from lnc_dicom.measure.volumetry import asymmetry
from lnc_dicom.report import Report, failure_text
from lnc_dicom.types import Asymmetry

_DIGITS = 4
_UNITS = {EDGE_WIDTH.code: MILLIMETRE, MISFIT.code: MILLIMETRE, TURN.code: DEGREE}
"""Units of gates, by code; the numbers of all other gates have none."""


def study_level_groups(
    report: Report, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give the groups of asymmetry, one per pair of structures, then those of image quality."""
    pairs = [group for one in asymmetry(report.measurements) for group in _asymmetry(one, provenance, placement)]
    return [*pairs, *_quality(report, provenance, placement)]


def _asymmetry(
    one: Asymmetry, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give (L - R) / ((L + R) / 2) of a pair, shown between the two; values that are not defined are left out."""
    values = {"volume": one.volume, **{q.value: v for q, v in one.quantities.items()}}
    items = [number_item(ASYMMETRY[name], v, NO_UNITS, _DIGITS) for name, v in values.items() if v is not None]
    site = FindingSite(STRUCTURE[one.name], laterality=BILATERAL)
    between = partial(placement.anchor, [s.label for s in STRUCTURES if s.name == one.name])
    return topic_groups(Topic(f"{one.name.capitalize()}, asymmetry", site, between, INDEX_OF_SIDES), provenance, items)


def _quality(
    report: Report, provenance: Provenance, placement: Placement
) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give the numbers of the study's gates, and whether the images were usable for every structure."""
    failed = [failure_text(m) for m in report.measurements if not m.passed]
    usable = evaluation_item(QUALITY, PARTLY_USABLE if failed else USABLE, "; ".join(failed))
    items = [
        number_item(Code(c.code, LOCAL_SCHEME, c.name), c.value, _UNITS.get(c.code, NO_UNITS), _DIGITS)
        for c in report.checks
        if math.isfinite(c.value)
    ]
    topic = Topic("Images, quality", FindingSite(BRAIN), partial(placement.anchor, [s.label for s in STRUCTURES]))
    return topic_groups(topic, provenance, items, [usable])
