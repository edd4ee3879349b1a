"""What belongs to no single structure → TID 1501 groups: asymmetry of pairs, quality of the images.

Every number is inferred from a point on a source image: a group without coordinates turns the report black in OHIF.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from highdicom import UID
from highdicom.sr import (
    FindingSite,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    TrackingIdentifier,
)
from highdicom.sr import Measurement as MeasurementItem
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
from lnc_dicom.encode.items import judged, measured, shown_at
from lnc_dicom.encode.origin import Origin
from lnc_dicom.encode.outline import Anchor, Canvas
from lnc_dicom.quality import EDGE_WIDTH, MISFIT, TURN
from lnc_dicom.regions import asymmetry
from lnc_dicom.report import failure_text
from lnc_dicom.types import Asymmetry, Check, Report

_DIGITS = 4
UNITS = {EDGE_WIDTH.code: MILLIMETRE, MISFIT.code: MILLIMETRE, TURN.code: DEGREE}
"""Units of the gates' numbers, by code; all others have none."""


def overall_groups(report: Report, origin: Origin, canvas: Canvas) -> list[MeasurementsAndQualitativeEvaluations]:
    """Give a group per pair of structures that has an asymmetry, and one for the quality of the images."""
    pairs = [_asymmetry(row, origin, canvas) for row in asymmetry(report.measurements) if _values(row)]
    return [*pairs, _quality(report, origin, canvas)]


def _values(row: Asymmetry) -> Mapping[Code, float]:
    """Give the differences between the sides, by concept; asymmetries that are not defined are left out."""
    values = {"volume": row.volume, **{q.value: v for q, v in row.quantities.items()}}
    return {ASYMMETRY[name]: value for name, value in values.items() if value is not None}


def _asymmetry(row: Asymmetry, origin: Origin, canvas: Canvas) -> MeasurementsAndQualitativeEvaluations:
    """(L - R) / ((L + R) / 2) of a pair; shown between the two."""
    anchor = canvas.anchor([s.label for s in STRUCTURES if s.name == row.name])
    items = [shown_at(anchor, measured(name, value, NO_UNITS, _DIGITS)) for name, value in _values(row).items()]
    site = FindingSite(STRUCTURE[row.name], laterality=BILATERAL)
    return _group(f"{row.name.capitalize()}, asymmetry", items, site, origin, method=INDEX_OF_SIDES)


def _quality(report: Report, origin: Origin, canvas: Canvas) -> MeasurementsAndQualitativeEvaluations:
    """Numbers of the study's gates, and whether the images could be used for every structure."""
    anchor = canvas.anchor([s.label for s in STRUCTURES])
    failed = [failure_text(m) for m in report.measurements if not m.passed]
    verdict = judged(QUALITY, PARTLY_USABLE if failed else USABLE, "; ".join(failed))
    items = [_gate(check, anchor) for check in report.checks if math.isfinite(check.value)]
    return _group("Images, quality", items, FindingSite(BRAIN), origin, verdict=verdict)


def _gate(check: Check, anchor: Anchor) -> MeasurementItem:
    name = Code(check.code, LOCAL_SCHEME, check.name)
    return shown_at(anchor, measured(name, check.value, UNITS.get(check.code, NO_UNITS), _DIGITS))


def _group(
    title: str,
    items: list[MeasurementItem],
    site: FindingSite,
    origin: Origin,
    *,
    method: Code | None = None,
    verdict: QualitativeEvaluation | None = None,
) -> MeasurementsAndQualitativeEvaluations:
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(origin.tracking_uid(title)), title),
        finding_sites=[site],
        method=method,
        measurements=items,
        qualitative_evaluations=[verdict] if verdict else [],
    )
