"""Deep grey matter on T1-weighted MR of the head: DICOM in; volumes, FA, CBF, SEG and SR out. Research only.

    from datetime import UTC, datetime
    from pathlib import Path

    import lnc_dicom as lnc

    tools = lnc.Tools(lnc.load_segmenter(), datetime.now(UTC))
    report, objects = lnc.process(lnc.read_study([Path("study")]), tools)
    for m in report.measurements:
        print(m.structure.title, m.volume_ml, m.interval_ml)

Reading and measuring
    read_study       files → `Study`; headers only
    analyse          `Study` → `Report`; reads pixels, writes nothing
    process          `Study` → `Report` and its DICOM objects
    load_segmenter   the released networks, or those of a folder
    load_predictor   the biomarker model that the options choose
    load_options     the library's sections of a TOML file → `Options`

Values (frozen; volumes are `highdicom.Volume`, affine to LPS millimetres)
    Tools, Options   what the stages need from outside, and what a site has chosen
    Study, Series    what was read
    Report           everything that was found; `Measurement` per structure, `Statistic` of FA and CBF, `Caveat`
    Structure, Side, STRUCTURES     the anatomy, and the labels of the segmentation
    Quantity, Output                what a map measures; what kinds of objects can be written

Errors
    LncError and its families UnusableInput, StudyRejected, Unavailable, Defect (docs/reference/errors.md)

Names are imported when they are first used: `import lnc_dicom` alone loads neither torch nor highdicom.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lnc_dicom.anatomy import STRUCTURES, Side, Structure
    from lnc_dicom.biomarker.load import load_predictor
    from lnc_dicom.errors import Defect, LncError, StudyRejected, Unavailable, UnusableInput
    from lnc_dicom.options import Options, load_options
    from lnc_dicom.outputs import Output
    from lnc_dicom.pipeline import analyse, process
    from lnc_dicom.quantities import Quantity
    from lnc_dicom.report import Report
    from lnc_dicom.segment.load import load_segmenter
    from lnc_dicom.study.read import read_study
    from lnc_dicom.tools import Tools
    from lnc_dicom.types import Caveat, Measurement, Series, Statistic, Study

_MODULE_OF = {
    "Caveat": "types",
    "Defect": "errors",
    "LncError": "errors",
    "Measurement": "types",
    "Options": "options",
    "Output": "outputs",
    "Quantity": "quantities",
    "Report": "report",
    "STRUCTURES": "anatomy",
    "Series": "types",
    "Side": "anatomy",
    "Statistic": "types",
    "Structure": "anatomy",
    "Study": "types",
    "StudyRejected": "errors",
    "Tools": "tools",
    "Unavailable": "errors",
    "UnusableInput": "errors",
    "analyse": "pipeline",
    "load_options": "options",
    "load_predictor": "biomarker.load",
    "load_segmenter": "segment.load",
    "process": "pipeline",
    "read_study": "study.read",
}

__all__ = [
    "STRUCTURES",
    "Caveat",
    "Defect",
    "LncError",
    "Measurement",
    "Options",
    "Output",
    "Quantity",
    "Report",
    "Series",
    "Side",
    "Statistic",
    "Structure",
    "Study",
    "StudyRejected",
    "Tools",
    "Unavailable",
    "UnusableInput",
    "analyse",
    "load_options",
    "load_predictor",
    "load_segmenter",
    "process",
    "read_study",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lnc_dicom' has no attribute {name!r}")
    value = getattr(import_module(f"lnc_dicom.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name everything public."""
    return sorted(_MODULE_OF)
