"""Report → result.json, the contract with programs (schema 1)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lnc_dicom.encode import EncodedObject
from lnc_dicom.errors import LncError
from lnc_dicom.types import Caveat, Measurement, Report, Series

SCHEMA = 1


def result_json(report: Report, objects: Sequence[EncodedObject], timings_s: Mapping[str, float]) -> str:
    """Describe a result. `biomarker` is null: this version carries no biomarker model."""
    return _dump(
        {
            "schema": SCHEMA,
            "study": report.study.uid,
            "series": {
                "chosen": {**_series(report.selection.chosen), "reason": "best T1-weighted series"},
                "passed_over": [{**_series(s), "reason": r.value} for s, r in report.selection.passed_over],
            },
            "model": {"name": report.model.name, "version": report.model.version, "digest": report.model.digest},
            "regions": [_region(m) for m in report.measurements],
            "biomarker": None,
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
    structure = measurement.structure
    return {
        "name": structure.name,
        "side": structure.side.value,
        "label": structure.label,
        "voxels": measurement.voxels,
        "volume_ml": round(measurement.volume_ml, 4),
        "quality": measurement.quality.value,
    }


def _caveat(caveat: Caveat) -> dict[str, str]:
    return {"code": caveat.code, "text": caveat.text}
