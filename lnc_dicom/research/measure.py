"""One call from an image or a study to labels and numbers: `segment`, and `measure`, which adds FA and CBF."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from highdicom import Volume

from lnc_dicom.errors import NothingToMeasure, TooCoarse, UnreadableImage, UnusableInput
from lnc_dicom.measure.volumetry import measure as measure_volumes
from lnc_dicom.measure.volumetry import usable_labels, with_statistics
from lnc_dicom.options import Options
from lnc_dicom.pipeline import analyse, first_that_passes, measure_each
from lnc_dicom.predictions import Model
from lnc_dicom.quantities import Quantity
from lnc_dicom.report import accept, passed_labels, study_caveats
from lnc_dicom.research.map_files import cbf_of_file, fa_of_file
from lnc_dicom.research.result import Result
from lnc_dicom.research.sources import files_under, images_among, unpacked
from lnc_dicom.segment.load import WEIGHTS, load_segmenter
from lnc_dicom.study.nifti import open_image, volume_of
from lnc_dicom.study.read import read_study
from lnc_dicom.study.select_t1 import MAX_PIXEL_MM, MAX_SLICE_MM, find_candidates
from lnc_dicom.tools import Segmenter, Tools
from lnc_dicom.types import QuantityMap, Study

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage

    Source = str | PathLike[str] | Volume | SpatialImage | Study

Makers = Mapping[Quantity, Callable[[], QuantityMap | None]]
_ROUNDING_MM = 0.01


def segment(source: Source, *, device: str = "cpu", model: str | PathLike[str] | None = None) -> Result:
    """Label the deep grey matter on one T1-weighted image and measure its volumes.

    source
        A NIfTI or MGH file; a folder, a zip archive or a DICOMDIR with the DICOM files of one study; a `Study`; a
        `highdicom.Volume` (affine to LPS mm); or a nibabel image (affine to RAS mm). The image is 3D, T1-weighted, with
        voxels of at most 2 x 2 x 3.5 mm, oriented in any way, with or without skull.
    device
        "cpu", "cuda" or another device of torch.
    model
        Folder of a model that `lnc train segmentation` wrote; None: the released one.

    The networks are loaded once per process. Raises PathMissing, UnreadableImage, NothingToMeasure, UnusableInput for a
    device or a model that is not there, and where the images cannot be measured a StudyRejected (NoHead, NotT1Contrast,
    TooCoarse, …), which says why and what to do.
    Method: docs/explanation/segmentation-protocol.md and the model card.

    >>> result = segment("t1.nii.gz")  # doctest: +SKIP
    >>> result.to_dataframe()  # doctest: +SKIP
    """
    tools = _tools(device, model, Options())
    with ExitStack() as stack:
        found = _opened(source, stack)
        return _of_study(found, tools) if isinstance(found, Study) else _of_image(found, tools, {})


def measure(
    source: Source,
    *,
    diffusion: str | PathLike[str] | None = None,
    labelling: str | PathLike[str] | None = None,
    options: Options | None = None,
    device: str = "cpu",
    model: str | PathLike[str] | None = None,
) -> Result:
    """Label the deep grey matter and measure volumes, FA and CBF.

    source
        As in `segment`. In a DICOM study the series for FA and CBF are found by themselves.
    diffusion
        With an image: 4D NIfTI of diffusion-weighted volumes; .bval and .bvec (FSL's convention) lie beside it.
    labelling
        With an image: 4D NIfTI of arterial spin labelling as in BIDS: `*_asl.nii.gz` with `*_asl.json`,
        `*_aslcontext.tsv` and, where M0 is apart, `*_m0scan.nii.gz` beside it.
    options
        Constants of FA and CBF; None: the defaults (docs/reference/configuration.md).
    device, model
        As in `segment`.

    FA has no unit (0 to 1); CBF is in ml/100 g/min. Each map is registered rigidly to the T1 and measured on its own
    voxels; one that cannot be used is left out, and a caveat says why. Raises as `segment` does.
    """
    chosen = options or Options()
    tools = _tools(device, model, chosen)
    with ExitStack() as stack:
        found = _opened(source, stack)
        if isinstance(found, Study):
            report = analyse(found, tools)
            parts = (report.volume, report.labels, report.measurements, report.checks, report.caveats, report.model)
            return Result(*parts, report.maps, None, report)
        makers: dict[Quantity, Callable[[], QuantityMap | None]] = {}
        if diffusion is not None:
            makers[Quantity.FA] = functools.partial(fa_of_file, Path(diffusion), chosen.diffusion)
        if labelling is not None:
            makers[Quantity.CBF] = functools.partial(cbf_of_file, Path(labelling), chosen.perfusion)
        return _of_image(found, tools, makers)


def model_of(device: str, model: str | PathLike[str] | None) -> Model:
    """Say which networks `segment` uses with these arguments; they are loaded."""
    return _tools(device, model, Options()).segmenter.model


@functools.lru_cache(maxsize=2)
def _segmenter(folder: Path, device: str) -> Segmenter:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UnusableInput(f"torch cannot use the device {device}: {str(error).splitlines()[0]}") from error
    return load_segmenter(folder, device)


def _tools(device: str, model: str | PathLike[str] | None, options: Options) -> Tools:
    folder = WEIGHTS if model is None else Path(model)
    return Tools(_segmenter(folder, device), datetime.now(UTC), options=options)


def _opened(source: Source, stack: ExitStack) -> Study | Volume | SpatialImage:
    """Open what was named; an archive is unpacked as long as the stack lasts."""
    if not isinstance(source, (str, PathLike)):
        return source
    path = stack.enter_context(unpacked(Path(source).expanduser()))
    files = files_under(path)
    images = images_among(files)
    if len(images) > 1:
        raise UnreadableImage(f"{len(images)} images in {path.name}; name one of them, or use `lnc segment` for all")
    if images:
        return open_image(images[0])
    if not files:
        raise NothingToMeasure(f"{path.name} holds no file")
    return read_study(files)


def _of_study(study: Study, tools: Tools) -> Result:
    """Segment the T1 of a study, and nothing else."""
    selection, t1 = first_that_passes(find_candidates(study), tools)
    labels = passed_labels(t1.segmented.labels, t1.volumes)
    caveats = study_caveats(study, t1.repairs, t1.volumes, selection.caveats)
    return Result(t1.volume, labels, t1.volumes, t1.checks, caveats, tools.segmenter.model)


def _of_image(found: Volume | SpatialImage, tools: Tools, makers: Makers) -> Result:
    """Segment an image and measure the maps beside it."""
    image = None if isinstance(found, Volume) else found
    volume = found if isinstance(found, Volume) else volume_of(found)
    _refuse_coarse(volume)
    segmented = tools.segmenter(volume)
    volumes = measure_volumes(segmented)
    checks = accept(volume, segmented, volumes)
    maps, map_caveats = measure_each(makers, (volume, segmented, usable_labels(volumes)), tools)
    measurements = with_statistics(volumes, maps)
    labels = passed_labels(segmented.labels, measurements)
    caveats = (*study_caveats(Study("", ()), (), measurements), *map_caveats)
    return Result(volume, labels, measurements, checks, caveats, tools.segmenter.model, maps, image)


def _refuse_coarse(volume: Volume) -> None:
    """Raise TooCoarse for voxels beyond the limits that DICOM has to keep as well."""
    *pixel, thickness = sorted(volume.spacing)
    if thickness > MAX_SLICE_MM + _ROUNDING_MM or max(pixel) > MAX_PIXEL_MM + _ROUNDING_MM:
        size = " x ".join(f"{mm:.2g}" for mm in volume.spacing)
        raise TooCoarse(f"voxels of {size} mm; at most {MAX_PIXEL_MM:g} x {MAX_PIXEL_MM:g} x {MAX_SLICE_MM:g} mm")
