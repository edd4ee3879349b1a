"""Report → result.json, the contract with programs (schema 1)."""

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
from lnc_dicom.report import Report
from lnc_dicom.types import AlignedMap, Asymmetry, Caveat, Change, Check, Measurement, Quantity, Series, Statistic

SCHEMA = 1
FEATURES = "features.npz"
"""Side file with the deep features: one float32 (512,) per structure, under its title."""
ALL_FILES = (*FILES, FEATURES, FHIR_FILE)
"""Every file that a result may have beside result.json."""


def result_json(report: Report, objects: Sequence[EncodedObject], timings_s: Mapping[str, float]) -> str:
    """Describe a result; `biomarker` is null where nothing was predicted."""
    return _dump(
        {
            "schema": SCHEMA,
            "study": report.study.uid,
            "series": {
                "chosen": {**_series(report.selection.chosen), "reason": "best T1-weighted series"},
                "used": [{**_series(s), "reason": r.value} for r, s in report.selection.map_series.items()],
                "passed_over": [{**_series(s), "reason": r.value} for s, r in report.selection.passed_over],
            },
            "model": {"name": report.model.name, "version": report.model.version, "digest": report.model.digest},
            "regions": [_region(m) for m in report.measurements],
            "asymmetry": [_asymmetry(a) for a in asymmetry(report.measurements)],
            "change": _change(report.change) if report.change else None,
            "maps": [_map(m) for m in report.maps],
            "checks": [_check(c) for c in report.checks],
            "biomarker": _biomarker(report.biomarker) if report.biomarker else None,
            "caveats": [_caveat(c) for c in report.caveats],
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
    """Give what lies beside result.json and is not sent by DICOM: deep features, and the SR as FHIR where chosen."""
    files = {}
    if report.biomarker is not None:
        files[FEATURES] = features_npz(report.biomarker)
    if Output.FHIR in kinds:
        files[FHIR_FILE] = fhir_report(report, now, objects).encode()
    return files


def features_npz(biomarker: BiomarkerResult) -> bytes:
    """Give the deep features as a .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{s.title: values for s, values in biomarker.features.items()})
    return buffer.getvalue()


def rejection_json(error: LncError, caveats: Sequence[Caveat] = ()) -> str:
    """Describe why there is no result."""
    rejected = {"code": error.code, "what": error.what, "do": error.do}
    return _dump({"schema": SCHEMA, "rejected": rejected, "caveats": [_caveat(c) for c in caveats]})


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _series(series: Series) -> dict[str, Any]:
    number = series.header.get("SeriesNumber")
    return {
        "series_instance_uid": series.uid,
        "number": int(number) if number is not None else None,
        "instances": len(series.instances),
    }


def _region(measurement: Measurement) -> dict[str, Any]:
    """Describe a structure; one that failed has a reason and no numbers."""
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


def _asymmetry(row: Asymmetry) -> dict[str, Any]:
    """(L - R) / ((L + R) / 2) of what was measured on both sides."""
    values = {"volume": row.volume, **{q.value: v for q, v in row.quantities.items()}}
    return {"name": row.name, **{name: None if v is None else round(v, 4) for name, v in values.items()}}


def _change(change: Change) -> dict[str, Any]:
    """Describe what changed since an earlier study; how long ago it was, but not its date."""
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
    """Where a quantity came from and how its map was laid on the T1."""
    return {
        "quantity": aligned.map.quantity.value,
        "method": aligned.map.method,
        "series_instance_uids": [series.uid for series in aligned.map.sources],
        "checks": [_check(check) for check in aligned.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    """Describe a gate's answer; JSON has no infinities and no nan."""
    finite = [round(x, 4) if math.isfinite(x) else None for x in (check.value, check.low, check.high)]
    value, low, high = finite
    return {"code": check.code, "name": check.name, "value": value, "low": low, "high": high, "passed": check.passed}


def _biomarker(biomarker: BiomarkerResult) -> dict[str, Any]:
    """Describe what was predicted, each with its 90 % interval; nothing here was measured."""
    model = biomarker.model
    return {
        "model": {"name": model.name, "version": model.version, "digest": model.digest},
        "demonstration": biomarker.demonstration,
        "age_and_sex_known": biomarker.age_and_sex_known,
        "familiar": biomarker.familiar,
        "distance": round(biomarker.distance, 3),
        "farthest": round(biomarker.farthest, 3),
        "regions": [
            {
                "name": r.structure.name,
                "side": r.structure.side.value,
                "predicted_fa": _predicted(r.fa, 4),
                "predicted_cbf": _predicted(r.cbf, 2),
            }
            for r in biomarker.regions
        ],
        "stems": [
            {
                "side": r.side.value,
                "expected": _predicted(r.expected, 2),
                "likeliest": r.likeliest,
                "probability": round(r.probability, 4),
            }
            for r in biomarker.stems
        ],
        "disease": {name: round(p, 4) for name, p in biomarker.disease.items()},
        "features": FEATURES,
    }


def _predicted(predicted: PredictedValue, digits: int) -> dict[str, float]:
    return {name: round(getattr(predicted, name), digits) for name in ("value", "low", "high")}


def _caveat(caveat: Caveat) -> dict[str, str]:
    return {"code": caveat.code, "text": caveat.text}
