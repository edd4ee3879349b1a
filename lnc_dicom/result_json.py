"""Report → result.json, the interface for programs (schema 1)."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from lnc_dicom.encode import EncodedObject
from lnc_dicom.encode.fhir.bundle import fhir_report
from lnc_dicom.errors import LncError
from lnc_dicom.measure.volumetry import asymmetry
from lnc_dicom.outputs import FHIR_FILE, FILES, Output
from lnc_dicom.predictions import BiomarkerResult, PredictedValue
from lnc_dicom.quantities import QUANTITIES, Quantity
from lnc_dicom.report import Report
from lnc_dicom.study.values import number
from lnc_dicom.types import AlignedMap, Asymmetry, Caveat, Change, Check, Measurement, Series, Statistic

SCHEMA = 1
FEATURES = "features.npz"
"""File with the deep features."""
ALL_FILES = (*FILES, FEATURES, FHIR_FILE)
"""Every file that a result may have beside result.json."""


def result_json(report: Report, objects: Sequence[EncodedObject], timings_s: Mapping[str, float]) -> str:
    """Describe a result; `biomarker` is null if nothing was predicted, `change` if there is no earlier study."""
    return _dump(
        {
            "schema": SCHEMA,
            "study": report.study.uid,
            "series": {
                "chosen": {**_series(report.selection.chosen), "reason": "best T1-weighted series"},
                "used": [
                    {**_series(p), "reason": r.value} for r, s in report.selection.map_series.items() for p in s.parts
                ],
                "failed": [{**_series(f.series), "code": f.code, "what": f.what} for f in report.selection.failed],
                "passed_over": [{**_series(s), "reason": r.value} for s, r in report.selection.passed_over],
            },
            "model": {"name": report.model.name, "version": report.model.version, "digest": report.model.digest},
            "regions": [_region(m) for m in report.measurements],
            "asymmetry": [_asymmetry(a) for a in asymmetry(report.measurements)],
            "change": _change(report.change) if report.change else None,
            "maps": [_map(m) for m in report.maps],
            "checks": [_check(c) for c in report.checks],
            "biomarker": _biomarker(report.biomarker) if report.biomarker else None,
            "caveats": [_caveat(c) for c in (*report.caveats, *report.prediction_caveats)],
            "objects": [
                {
                    "file": o.name,
                    "sop_class": o.sop_class,
                    "sop_instance_uid": o.sop_instance_uid,
                    "series_instance_uid": o.series_instance_uid,
                }
                for o in objects
            ],
            "timings_s": {stage: round(seconds, 3) for stage, seconds in timings_s.items()},
        }
    )


def side_files(
    report: Report, objects: Sequence[EncodedObject], now: datetime, kinds: Collection[Output]
) -> dict[str, bytes]:
    """Give the files beside result.json that are not sent by DICOM: deep features, and the SR as FHIR if chosen."""
    files = {}
    if report.biomarker is not None:
        files[FEATURES] = features_npz(report.biomarker)
    if Output.FHIR in kinds:
        files[FHIR_FILE] = fhir_report(report, now, objects).encode()
    return files


def features_npz(biomarker: BiomarkerResult) -> bytes:
    """Give the deep features as .npz file: float32 (512,) per structure, under its title."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{s.title: values for s, values in biomarker.features.items()})
    return buffer.getvalue()


def rejection_json(error: LncError, caveats: Sequence[Caveat] = ()) -> str:
    """Describe why a study was rejected."""
    rejected = {"code": error.code, "what": error.what, "do": error.do}
    return _dump({"schema": SCHEMA, "rejected": rejected, "caveats": [_caveat(c) for c in caveats]})


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _series(series: Series) -> dict[str, Any]:
    found = number(series.header, "SeriesNumber")
    return {
        "series_instance_uid": series.uid,
        "number": None if found is None else int(found),
        "instances": len(series.instances),
    }


def _region(measurement: Measurement) -> dict[str, Any]:
    """Describe a structure; if it failed, its numbers are null and `quality` says why."""
    structure, failure = measurement.structure, measurement.failure
    interval = measurement.interval_ml
    return {
        "name": structure.name,
        "side": structure.side.value,
        "label": structure.label,
        "voxels": None if failure else measurement.voxels,
        "volume_ml": None if failure else round(measurement.volume_ml, 4),
        "volume_interval_ml": None if failure or interval is None else [round(v, 4) for v in interval],
        "quality": f"{failure.code} {failure}" if failure else "passed",
        "checks": [_check(check) for check in measurement.checks],
        **{q.value: _statistic(measurement.statistics[q]) for q in Quantity if q in measurement.statistics},
    }


def _statistic(statistic: Statistic) -> dict[str, float]:
    numbers = {"mean": statistic.mean, "sd": statistic.sd, "median": statistic.median}
    return {**{name: round(value, 4) for name, value in numbers.items()}, "n": statistic.n}


def _asymmetry(one: Asymmetry) -> dict[str, Any]:
    """Describe (L - R) / ((L + R) / 2) of everything that was measured on both sides."""
    values = {"volume": one.volume, **{q.value: v for q, v in one.quantities.items()}}
    return {"name": one.name, **{name: None if v is None else round(v, 4) for name, v in values.items()}}


def _change(change: Change) -> dict[str, Any]:
    """Describe the change since an earlier study, with the days between, but not its date."""
    return {
        "since": {"study": change.since.study_uid, "sop_instance_uid": change.since.uid, "days": change.days},
        "regions": [
            {
                "name": v.structure.name,
                "side": v.structure.side.value,
                "volume_mm3": round(v.mm3, 1),
                "volume_percent": round(v.percent, 1),
            }
            for v in change.volumes
        ],
    }


def _map(aligned: AlignedMap) -> dict[str, Any]:
    """Describe from which series a map was made, how, and how well it is aligned with the T1."""
    return {
        "quantity": aligned.map.quantity.value,
        "method": aligned.map.method,
        "series_instance_uids": [part.uid for series in aligned.map.sources for part in series.parts],
        "checks": [_check(check) for check in aligned.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    """Describe the result of a gate; infinities and nan are null, which JSON does not have."""
    finite = [round(x, 4) if math.isfinite(x) else None for x in (check.value, check.low, check.high)]
    value, low, high = finite
    return {"code": check.code, "name": check.name, "value": value, "low": low, "high": high, "passed": check.passed}


def _biomarker(biomarker: BiomarkerResult) -> dict[str, Any]:
    """Describe the predictions, each with its 90 % interval; nothing here was measured."""
    model = biomarker.model
    return {
        "model": {"name": model.name, "version": model.version, "digest": model.digest},
        "demonstration": biomarker.demonstration,
        "age_and_sex_known": biomarker.age_and_sex_known,
        "in_distribution": biomarker.familiar,
        "distance": round(biomarker.distance, 3),
        "distance_limit": round(biomarker.farthest, 3),
        "regions": [
            {
                "name": r.structure.name,
                "side": r.structure.side.value,
                "predicted_fa": _predicted(r.fa, QUANTITIES[Quantity.FA].coded_digits),
                "predicted_cbf": _predicted(r.cbf, QUANTITIES[Quantity.CBF].coded_digits),
            }
            for r in biomarker.regions
        ],
        "stems": [
            {
                "side": r.side.value,
                "expected": _predicted(r.expected, 2),
                "most_likely": r.likeliest,
                "probability": round(r.probability, 4),
            }
            for r in biomarker.stems
        ],
        "disease": {name: round(p, 4) for name, p in biomarker.disease.items()},
        "disease_withheld": biomarker.disease_withheld,
        "features": FEATURES,
    }


def _predicted(predicted: PredictedValue, digits: int) -> dict[str, float]:
    return {name: round(getattr(predicted, name), digits) for name in ("value", "low", "high")}


def _caveat(caveat: Caveat) -> dict[str, str]:
    return {"code": caveat.code, "text": caveat.text}
