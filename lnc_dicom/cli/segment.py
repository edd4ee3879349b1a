"""`lnc segment`: T1s of many heads → labels of each, and one table of volumes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lnc_dicom.cli.console import complaints, exits, make_folder, show_line, show_progress
from lnc_dicom.cli.progress import TrainingProgress
from lnc_dicom.errors import Defect, LncError, SomeNotMeasured, UnusableInput

if TYPE_CHECKING:
    from lnc_dicom.predictions import Model
    from lnc_dicom.research.heads import Head
    from lnc_dicom.research.volumes_table import Row

_LINE_EVERY_S = 60.0
"""Seconds between two lines of progress where there is no terminal."""

Sources = Annotated[
    list[Path], typer.Argument(help="NIfTI or MGH images, DICOM files, folders, zip archives, or one BIDS data set.")
]
Results = Annotated[Path, typer.Option(help="Folder for labels and volumes.csv; made if it is missing.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or another device of torch.")]
ModelFolder = Annotated[Path | None, typer.Option(help="Folder of a model; without it, the released one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Leave out heads that have their labels and volumes.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per head, a line each, to standard output.")]


def segment_heads(
    sources: Sources,
    out: Results,
    device: Device = "cpu",
    model: ModelFolder = None,
    resume: Resume = False,  # noqa: FBT002 - typer's way to a flag
    quiet: Quiet = False,  # noqa: FBT002 - typer's way to a flag
    as_json: Json = False,  # noqa: FBT002 - typer's way to a flag
) -> None:
    """Label the deep grey matter on T1s of one head or many; write labels as NIfTI and one table of volumes.

    A head that cannot be measured stops nothing: volumes.csv says why. A BIDS data set gives a BIDS derivative.
    """
    with exits(), ExitStack() as stack:
        from lnc_dicom.research.bids_derivative import write_description  # noqa: PLC0415 - --help waits for no torch
        from lnc_dicom.research.heads import find_heads  # noqa: PLC0415
        from lnc_dicom.research.measure import model_of  # noqa: PLC0415
        from lnc_dicom.research.volumes_table import FILE, read_table  # noqa: PLC0415

        heads = find_heads(sources, out, stack)
        make_folder(out)
        used = model_of(device, model)
        run = _Run(out, device, model, used, read_table(out / FILE) if resume else {})
        if any(head.bids for head in heads):
            write_description(out, sources[0], used)
        errors = _measure_all(heads, run, quiet=quiet, as_json=as_json)
        if not quiet and not as_json:
            show_line(f"{len(heads) - len(errors)} of {len(heads)} heads have labels; volumes in {out / FILE}")
        if errors and len(heads) == 1:
            raise errors[0]
        if errors:
            raise SomeNotMeasured(f"{len(errors)} of {len(heads)} heads were not measured")


def _measure_all(heads: Sequence[Head], run: _Run, *, quiet: bool, as_json: bool) -> list[LncError]:
    """Measure all heads that have no result yet, and show how far it is; give the errors."""
    todo = [head for head in heads if not run.is_done(head)]
    if not quiet and len(todo) < len(heads):
        show_progress(f"{len(heads) - len(todo)} of {len(heads)} heads have their results")
    errors: list[LncError] = []
    with nullcontext(_silent) if quiet else TrainingProgress(complaints, show_progress, _LINE_EVERY_S) as show:
        if todo:
            show("heads", 0, len(todo), math.nan)
        for n, head in enumerate(todo, 1):
            error = run.measure(head)
            if error is not None:
                errors.append(error)
                if not quiet:
                    show_progress(f"{head.name}: {error.code} {error.what}")
            show("heads", n, len(todo), math.nan)
    if as_json:
        for head in heads:
            show_line(_json_of(head, run.table[head.name]))
    return errors


def _silent(*_: object) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Where results go, what they are made with, and the rows of volumes.csv so far, which grow head by head."""

    out: Path
    device: str
    folder: Path | None
    model: Model
    table: dict[str, list[Row]]

    def is_done(self, head: Head) -> bool:
        """Whether an earlier run has left labels and all rows of this head, made with the same model."""
        from lnc_dicom.research.volumes_table import is_complete  # noqa: PLC0415 - as above

        return (self.out / head.labels).is_file() and is_complete(self.table.get(head.name, ()), head, self.model)

    def measure(self, head: Head) -> LncError | None:
        """Write labels and rows of one head; where it cannot be measured, write and give the reason."""
        from lnc_dicom.research.volumes_table import FILE, not_measured, write_table  # noqa: PLC0415 - as above

        error: LncError | None = None
        try:
            self.table[head.name] = self._measured(head)
        except LncError as found:
            error = found
        except OSError as found:
            error = UnusableInput(f"{type(found).__name__}: {found.strerror}")
        except Exception as found:  # noqa: BLE001 - one head that meets a fault of ours does not stop the others
            error = Defect(f"{type(found).__name__} while the head was measured")
        if error is not None:
            self.table[head.name] = not_measured(head, error)
        write_table(self.out / FILE, self.table)
        return error

    def _measured(self, head: Head) -> list[Row]:
        """Segment one head, write its labels, and give its rows."""
        from lnc_dicom.research.bids_derivative import describe_labels  # noqa: PLC0415 - as above
        from lnc_dicom.research.measure import segment  # noqa: PLC0415
        from lnc_dicom.research.volumes_table import measured  # noqa: PLC0415
        from lnc_dicom.study.nifti import is_image  # noqa: PLC0415
        from lnc_dicom.study.read import read_study  # noqa: PLC0415

        labels = self.out / head.labels
        # a head that fails must not seem to have the results of an earlier run
        for end in (".nii.gz", ".tsv", ".json") if head.bids else (".nii.gz",):
            labels.with_name(labels.name.removesuffix(".nii.gz") + end).unlink(missing_ok=True)
        if head.failure is not None:
            raise head.failure
        source = head.files[0] if is_image(head.files[0]) else read_study(head.files)
        result = segment(source, device=self.device, model=self.folder)
        result.to_nifti(labels)
        if head.bids is not None:
            describe_labels(self.out, head)
        return measured(head, result)


_NUMBERS = ("label", "voxels", "volume_ml", "volume_low_ml", "volume_high_ml")


def _json_of(head: Head, rows: Sequence[Row]) -> str:
    """Give one line with what was found in a head; a number that is missing is null."""
    about: dict[str, object] = {"name": head.name, "source": head.source}
    if not rows[0].get("structure"):
        return json.dumps(about | {"code": rows[0]["code"], "reason": rows[0]["reason"]})
    structures = [
        {"structure": row["structure"], "side": row["side"]}
        | {name: json.loads(row[name]) if row[name] else None for name in _NUMBERS}
        | {"passed": row["passed"] == "True", "code": row["code"], "reason": row["reason"]}
        for row in rows
    ]
    return json.dumps(about | {"labels": str(head.labels), "doubt": float(rows[0]["doubt"]), "structures": structures})
