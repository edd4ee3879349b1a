"""Deep grey matter on T1-weighted MR of the head: volumes, FA, CBF, from DICOM and NIfTI. Research only.

    import lnc_dicom as lnc

    result = lnc.segment("t1.nii.gz")   # or DICOM in a folder, zip or DICOMDIR, a highdicom Volume, a nibabel image
    result.to_dataframe()               # a row per structure and side: volume in mL, 90 % interval, gates
    result.to_nifti("labels.nii.gz")    # on the grid of the input
    result.plot("labels.png")

One call
    segment          an image or a study → `Result`: labels and volumes
    measure          the same with FA and CBF
    Result           `labels`, `measurements`, `caveats`, `doubt`; `to_nifti`, `to_dataframe`, `plot`

DICOM in, DICOM out
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

Names are imported when they are first used: `import lnc_dicom` alone loads neither torch nor highdicom. What is not
named here is not public and may change.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
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
    from lnc_dicom.research.measure import measure, segment
    from lnc_dicom.research.result import Result
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
    "Result": "research.result",
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
    "measure": "research.measure",
    "process": "pipeline",
    "read_study": "study.read",
    "segment": "research.measure",
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
    "Result",
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
    "measure",
    "process",
    "read_study",
    "segment",
]


class _Package(ModuleType):
    """The package. `segment` and `measure` are its functions, also once the packages of those names were imported."""

    segment = property(lambda _: _public("segment"), lambda *_: None)
    measure = property(lambda _: _public("measure"), lambda *_: None)


def _public(name: str) -> object:
    return getattr(import_module(f"lnc_dicom.{_MODULE_OF[name]}"), name)


def __getattr__(name: str) -> object:
    """Import a public name from its module when it is first used (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'lnc_dicom' has no attribute {name!r}")
    value = _public(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name everything public."""
    return sorted(_MODULE_OF)


sys.modules[__name__].__class__ = _Package
