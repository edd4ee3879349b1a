"""Labels of a BIDS data set → a derivative of it (BIDS 1.10, "Derivatives", "Segmentations")."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.predictions import Model
from lnc_dicom.provenance import software_version
from lnc_dicom.research.bids_names import DESCRIPTION
from lnc_dicom.research.heads import Head
from lnc_dicom.research.volumes_table import FILE

_VERSION = "1.10.0"


def write_description(out: Path, source: Path, model: Model) -> None:
    """Write dataset_description.json, and .bidsignore, which names the table of volumes."""
    uri = source.absolute().as_uri()
    made_by = [
        {"Name": "lnc-dicom", "Version": software_version(), "Description": "Segmentation of the deep grey matter"},
        {"Name": model.name, "Version": model.version, "Description": f"Networks, digest {model.digest}"},
    ]
    _write_json(
        out / DESCRIPTION,
        {
            "Name": "Deep grey matter by lnc-dicom (research only)",
            "BIDSVersion": _VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": made_by,
            "SourceDatasets": [{"URL": uri}],
            "DatasetLinks": {"raw": uri},
        },
    )
    (out / ".bidsignore").write_text(f"{FILE}\n", encoding="utf-8")


def describe_labels(out: Path, head: Head) -> None:
    """Write beside *_dseg.nii.gz the table of its labels, *_dseg.tsv, and its sidecar, *_dseg.json."""
    labels = out / head.labels
    stem = labels.name.removesuffix(".nii.gz")
    with labels.with_name(f"{stem}.tsv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(("index", "name", "color"))
        for s in STRUCTURES:
            table.writerow((s.label, f"{s.side.value} {s.name}", s.html_colour))
    image = head.labels.parent / head.files[0].name
    sidecar = {"Sources": [f"bids:raw:{image.as_posix()}"], "SpatialReference": "orig", "Manual": False}
    _write_json(labels.with_name(f"{stem}.json"), sidecar)


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
