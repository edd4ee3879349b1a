"""Label map + simulated person → T1 image, FA map and CBF map.

All three are rendered on the grid of the label map and sampled through one deformation, so that they show the same
anatomy. FA and CBF maps are coarser and slightly moved, as by head motion between the series.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from highdicom import Volume
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from lnc_dicom.anatomy import STRUCTURES, Side
from lnc_dicom.geometry.resampling import sample_at
from lnc_dicom.segment.synthesis.label_maps import WHITE_MATTER, LabelMap, Palette
from lnc_dicom.segment.synthesis.rng import Rng
from lnc_dicom.simulate.growth import MAX_DISPLACEMENT_MM, Growth, prepare_growth
from lnc_dicom.simulate.lesions import add_lesions
from lnc_dicom.simulate.parameters import FLOW, HEAD_L, HEAD_SD_L, REGION, REGIONS, SITES
from lnc_dicom.simulate.subjects import People


@dataclass(frozen=True, slots=True)
class FieldOfView:
    """A box around the deep grey matter: size along L, P, S, and extent towards R, A, I, in mm."""

    shape_mm: tuple[int, int, int]
    front_mm: tuple[float, float, float]
    margin_mm: int


HEAD = FieldOfView((168, 200, 160), (84.0, 96.0, 72.0), 24)
DEEP = FieldOfView((120, 116, 92), (60.0, 56.0, 44.0), 12)
"""The part of the head that the crops of the biomarker model need."""
FA_MM, CBF_MM = 2, 3
"""Voxel size of the maps; that of the T1 is 1 mm."""
WHITE = 600.0
"""Intensity of white matter on the T1."""
GROWING = (*REGIONS, "lateral ventricle")
_VENTRICLE_ML = 11.0
"""Mean volume of one lateral ventricle at the mean age (assumption; those of the label maps are wider)."""
_ROUNDS = 3
_EMPTY = 0.01
"""Map values below this are outside the head; no noise is added there."""
_ROTATION_DEG, _SHIFT_MM = 3.0, 3.0
_MOTION_DEG, _MOTION_MM = 1.0, 1.0
_TISSUE_FA = {"cortex": 0.14, "white": 0.42, "stem": 0.42, "fluid": 0.06}
_TISSUE_CBF = {"cortex": 1.0, "white": 0.45, "stem": 0.6, "fluid": 0.0}
_TISSUES = {
    "cortex": (3, 42, 8, 47, 17, 53, 18, 54, 26, 58),
    "white": (2, 41, 7, 46),
    "stem": (16, 28, 60, 85),
    "fluid": (4, 43, 5, 44, 14, 15, 24, 30, 62),
}


@dataclass(frozen=True, slots=True, eq=False)
class PreparedAnatomy:
    """A label map with its displacement fields, the distance of each voxel from the ventricles, and brain volume."""

    head: LabelMap
    growth: Growth
    from_ventricle_mm: npt.NDArray[np.float32] = field(repr=False)
    brain_ml: float


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The three images of one person (axes L, P, S), and the true volumes, (structures of `GROWING`, 2) in mL."""

    t1: Volume = field(repr=False)
    fa: Volume = field(repr=False)
    cbf: Volume = field(repr=False)
    volume_ml: npt.NDArray[np.float64]


def prepare_anatomy(head: LabelMap, palette: Palette) -> PreparedAnatomy:
    """Prepare a label map, once for all people with this anatomy."""
    structures = _growing(palette)[head.codes]
    growth = prepare_growth(structures, 2 * len(GROWING), head.spacing_mm, head.centre)
    ventricles = np.isin(head.codes, palette.codes((4, 43)))
    distance = ndimage.distance_transform_edt(~ventricles[::2, ::2, ::2], sampling=[2 * s for s in head.spacing_mm])
    brain = ~(palette.outside_brain | palette.csf)[head.codes]
    brain_ml = float(brain.sum()) * float(np.prod(head.spacing_mm)) / 1000
    return PreparedAnatomy(head, growth, np.asarray(distance, np.float32), brain_ml)


def make_images(
    model: PreparedAnatomy, palette: Palette, people: People, person: int, seed: int, brain_ml: float
) -> Images:
    """Simulate the images of one person; `brain_ml` is the mean brain volume of all label maps."""
    renderer = _Renderer(model, palette, people, person, Rng(seed), HEAD, brain_ml)
    index = renderer.deformation.index(1, moved=False)
    t1 = renderer.t1(index)
    counts = _count(renderer.codes, index, palette, 1)
    fa, cbf = (renderer.map(name, size) for name, size in (("fa", FA_MM), ("cbf", CBF_MM)))
    return Images(t1, fa, cbf, counts.reshape(len(GROWING), 2))


def make_deep_t1(
    model: PreparedAnatomy, palette: Palette, people: People, person: int, seed: int, brain_ml: float
) -> tuple[Volume, Volume]:
    """Simulate the part of a T1 around the deep grey matter, with its true labels (`anatomy.STRUCTURES`, uint8)."""
    renderer = _Renderer(model, palette, people, person, Rng(seed), DEEP, brain_ml)
    index = renderer.deformation.index(1, moved=False)
    t1 = renderer.t1(index)
    table = torch.from_numpy(palette.structures(mirrored=False))
    labels = sample_at(table[renderer.codes].float()[None], index, mode="nearest")[0].numpy().astype(np.uint8)
    return t1, t1.with_array(labels)


class _Renderer:
    """Renders one person in one label map; all images share one deformation."""

    def __init__(
        self,
        model: PreparedAnatomy,
        palette: Palette,
        people: People,
        person: int,
        draw: Rng,
        view: FieldOfView,
        brain_ml: float,
    ) -> None:
        self._model, self._palette, self._people, self._person, self._draw = model, palette, people, person, draw
        self._view, self._box = view, _box(model.head, view)
        self.codes = torch.from_numpy(np.ascontiguousarray(model.head.codes[self._box])).long()
        low_mm = torch.tensor([b.start * s for b, s in zip(self._box, model.head.spacing_mm, strict=True)])
        larger = 1 + float(people.head[person]) * HEAD_SD_L / HEAD_L
        scale = (brain_ml / model.brain_ml * larger) ** (1 / 3)
        self.deformation = _Deformation(model, low_mm, scale, draw, view)
        self.deformation.grow(self.codes, _wanted_ml(people, person), palette)

    def t1(self, index: Tensor) -> Volume:
        """Render the T1 at these voxel indices of the label map, with 1 mm voxels."""
        rendered = _render_t1(self._model, self.codes, self._box, self._palette, self._people, self._person, self._draw)
        return self._acquire(rendered, index, "t1", 1)

    def map(self, name: str, size_mm: int) -> Volume:
        """Render the FA or CBF map with voxels of this size, after a small head motion."""
        index = self.deformation.index(size_mm, moved=True)
        width = 0.4 * size_mm if name == "fa" else 0.5 * size_mm  # partial volume of the voxel, and the blur of ASL
        rendered = _blur(_render_map(self.codes, self._palette, self._people, self._person, name), width)
        return self._acquire(rendered, index, name, size_mm)

    def _acquire(self, rendered: Tensor, index: Tensor, name: str, size_mm: int) -> Volume:
        image = _add_acquisition_effects(
            sample_at(rendered[None], index)[0], name, self._people, self._person, self._draw
        )
        return _volume(image, size_mm, self._view)


class _Deformation:
    """Mapping from the grid of the person's images to the label map."""

    def __init__(self, model: PreparedAnatomy, low_mm: Tensor, scale: float, draw: Rng, view: FieldOfView) -> None:
        self._model, self._low_mm, self._draw, self._scale, self._view = model, low_mm, draw, scale, view
        self._steps = np.zeros(len(model.growth.volume_ml))
        self._rotation = _rotation(_ROTATION_DEG * draw.normal(3)) / scale
        self._shift = _SHIFT_MM * draw.normal(3)
        self._warp = 1.5 * draw.smooth([n // 4 for n in view.shape_mm], max(3, round(max(view.shape_mm) / 33)), 3)

    def grow(self, codes: Tensor, wanted_ml: npt.NDArray[np.float64], palette: Palette) -> None:
        """Move the walls towards the wanted volumes, within the largest displacement."""
        for _ in range(_ROUNDS):
            found_ml = _count(codes, self.index(2, moved=False), palette, 2)
            more = self._model.growth.steps_mm((wanted_ml - found_ml) / self._scale**3)
            self._steps = np.clip(self._steps + more, -MAX_DISPLACEMENT_MM, MAX_DISPLACEMENT_MM)

    def index(self, size_mm: int, *, moved: bool) -> Tensor:
        """Compute the indices (L, P, S, 3) into the box of the label map, for voxels of this size.

        moved
            After a small head motion.
        """
        starts = [(size_mm - 1) / 2 - f for f in self._view.front_mm]
        axes = [s + size_mm * torch.arange(n // size_mm) for n, s in zip(self._view.shape_mm, starts, strict=True)]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        if moved:
            points = points @ _rotation(_MOTION_DEG * self._draw.normal(3)).T + _MOTION_MM * self._draw.normal(3)
        spacing = torch.tensor(self._model.head.spacing_mm)
        warp = functional.interpolate(self._warp, size=points.shape[:3], mode="trilinear", align_corners=True)
        points = points @ self._rotation.T + self._shift + warp[0].permute(1, 2, 3, 0)
        points = points + torch.tensor(self._model.head.centre) * spacing
        points = points + self._model.growth.shift_mm(points, self._steps)
        return (points - self._low_mm) / spacing


def _rotation(degrees: Tensor) -> Tensor:
    """Rotation matrix (3, 3) of three angles."""
    skew = torch.zeros(3, 3)
    for k, (i, j) in enumerate(((2, 1), (0, 2), (1, 0))):
        skew[i, j], skew[j, i] = torch.deg2rad(degrees[k]), -torch.deg2rad(degrees[k])
    return torch.as_tensor(torch.linalg.matrix_exp(skew))


def _growing(palette: Palette) -> npt.NDArray[np.uint8]:
    """Per code: 1 + 2 * index in `GROWING` + side, 0 for other structures."""
    numbers = np.zeros(len(palette.labels), np.uint8)
    for s in STRUCTURES:
        if s.name in GROWING:
            numbers[palette.code(s.freesurfer)] = 1 + 2 * GROWING.index(s.name) + (s.side is Side.RIGHT)
    return numbers


def _box(head: LabelMap, view: FieldOfView) -> tuple[slice, ...]:
    """Part of the label map that the grid of the person's images can reach."""
    slices = []
    along = (head.codes.shape, head.spacing_mm, head.centre, view.shape_mm, view.front_mm)
    for n, s, c, size, front in zip(*along, strict=True):
        low = int(c - (front + view.margin_mm) / s)
        slices.append(slice(max(0, low), min(n, int(c + (size - front + view.margin_mm) / s))))
    return tuple(slices)


def _wanted_ml(people: People, person: int) -> npt.NDArray[np.float64]:
    """Volumes drawn for the person in mL, left and right of each structure of `GROWING`, flattened."""
    wanted = np.zeros((len(GROWING), 2))
    for index, name in enumerate(GROWING):
        for side in range(2):
            norm = next(s.norm_ml for s in STRUCTURES if s.name == name and (s.side is Side.RIGHT) == bool(side))
            if name == "lateral ventricle":
                wanted[index, side] = _VENTRICLE_ML * people.ventricle[person, side]
            else:
                wanted[index, side] = (norm or _CAPSULE_ML) * people.volume[person, index, side]
    return wanted.ravel()


_CAPSULE_ML = 5.5
"""Mean volume of one internal capsule as `segment.synthesis.internal_capsule` cuts it (mean of twenty label maps)."""


def _render_t1(
    model: PreparedAnatomy,
    codes: Tensor,
    box: tuple[slice, ...],
    palette: Palette,
    people: People,
    person: int,
    draw: Rng,
) -> Tensor:
    """Intensity relative to white matter for every voxel of the box."""
    prior = torch.from_numpy(palette.means[0][palette.tissue]).float()
    ratio = prior / prior[palette.code(WHITE_MATTER[0])]
    for s in STRUCTURES:
        if s.name in REGIONS:
            side = int(s.side is Side.RIGHT)
            value = float(people.t1[person, REGIONS.index(s.name), side])
            ratio[palette.code(s.freesurfer)] = value
            if s.name == "caudate":  # the accumbens has the caudate's contrast
                ratio[palette.code((26, 58)[side])] = value + 0.01
    contrast = SITES[int(people.site[person])].t1_contrast
    inside = ~torch.from_numpy(palette.outside_brain)
    ratio = torch.where(inside, 1 - contrast * (1 - ratio), ratio)
    image = ratio[codes] + 0.012 * draw.smooth(codes.shape, 24)[0, 0] + 0.01 * draw.normal(*codes.shape)
    near = model.from_ventricle_mm[tuple(slice(b.start // 2, b.stop // 2 + 1) for b in box)]
    distance = functional.interpolate(torch.from_numpy(near)[None, None], size=codes.shape, mode="nearest")[0, 0]
    add_lesions(image, codes, distance, palette, people, person, draw)
    return image.clamp(min=0)


def _render_map(codes: Tensor, palette: Palette, people: People, person: int, name: str) -> Tensor:
    """FA, or CBF in mL/100 g/min, for every voxel of the box."""
    table = torch.zeros(len(palette.labels))
    cortex = float(people.cbf[person, REGIONS.index("thalamus")].mean()) / REGION["thalamus"].cbf
    levels, unit = (_TISSUE_FA, 1.0) if name == "fa" else (_TISSUE_CBF, cortex)
    for kind, labels in _TISSUES.items():
        table[palette.codes(labels)] = levels[kind] * unit
    values = people.fa if name == "fa" else people.cbf
    for s in STRUCTURES:
        if s.name in REGIONS:
            table[palette.code(s.freesurfer)] = float(values[person, REGIONS.index(s.name), int(s.side is Side.RIGHT)])
    return table[codes]


def _blur(image: Tensor, sigma: float) -> Tensor:
    return torch.from_numpy(ndimage.gaussian_filter(image.numpy(), sigma, truncate=3))


def _count(codes: Tensor, index: Tensor, palette: Palette, size_mm: int) -> npt.NDArray[np.float64]:
    """Volumes in mL of the structures of `GROWING`, by nearest voxels of a grid of this voxel size."""
    found = sample_at(torch.from_numpy(_growing(palette))[codes].float()[None], index, mode="nearest")[0]
    counts = np.bincount(found.numpy().astype(np.uint8).ravel(), minlength=2 * len(GROWING) + 1)
    return np.asarray(counts[1:] * size_mm**3 / 1000.0)


def _add_acquisition_effects(
    image: Tensor, name: str, people: People, person: int, draw: Rng
) -> npt.NDArray[np.float32]:
    """Add the effects of the scanner: blur, noise and bias field."""
    site = SITES[int(people.site[person])]
    if name == "t1":
        image = _blur(image, 0.45)
        noise = site.noise * draw.normal(2, *image.shape)
        image = ((image + noise[0]) ** 2 + noise[1] ** 2).sqrt()
        image = WHITE * image * torch.exp(site.bias * draw.smooth(image.shape, 3)[0, 0])
    else:
        sd = 0.04 if name == "fa" else FLOW.voxel_sd
        image = torch.where(image > _EMPTY, image + sd * draw.normal(*image.shape), image)
        image = image.clamp(0, 1) if name == "fa" else image
    return np.asarray(image.numpy(), np.float32)


def _volume(array: npt.NDArray[np.float32], size_mm: int, view: FieldOfView) -> Volume:
    """Place an image in LPS: axes (L, P, S), isotropic voxels; all images of a person cover the same box."""
    affine = np.diag([size_mm, size_mm, size_mm, 1.0])
    affine[:3, 3] = [-f + (size_mm - 1) / 2 for f in view.front_mm]
    return Volume(array, affine, coordinate_system="PATIENT")
