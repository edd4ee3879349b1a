"""Two volumes → the rigid motion between them, by SimpleITK; the only place where images are registered.

The metric is Mattes' mutual information (IEEE Trans Med Imaging 2003; 22:120), because the two images seldom have the
same contrast. With one thread and regular sampling, the same images give the same motion, bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

_BINS = 32
_SEED = 1
"""Seed of the jitter of the sampling lattice; without one SimpleITK takes the clock."""
_STEPS = 60
_LEARNING_RATE = 1.0
_MIN_STEP = 0.005
_RELAXATION = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A rigid motion of points in LPS millimetres, and the mutual information of the images after it.

    lps_mm
        (4, 4), maps a point of the fixed image to the same place of the head in the moving image.
    information
        Mutual information in nats; 0 for independent images.
    """

    lps_mm: npt.NDArray[np.float64] = field(repr=False)
    information: float

    @property
    def turn_deg(self) -> float:
        """Angle of the rotation."""
        cosine = (np.trace(self.lps_mm[:3, :3]) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def shift_mm(self, points_mm: npt.NDArray[np.float64]) -> float:
        """Give the largest distance by which one of the points (N, 3) is moved."""
        moved = points_mm @ self.lps_mm[:3, :3].T + self.lps_mm[:3, 3]
        return float(np.linalg.norm(moved - points_mm, axis=1).max())


def register(fixed: Volume, moving: Volume, smoothing_mm: tuple[float, ...], *, sampling: float = 1.0) -> Motion:
    """Register `moving` to `fixed` rigidly, starting from the geometry in the headers.

    fixed, moving
        Of any contrast. Points outside `moving` are not compared.
    smoothing_mm
        SD of the Gaussian smoothing, one per level, coarse to fine.
    sampling
        Share of the voxels of `fixed` that are compared, on a regular lattice.
    """
    import SimpleITK as sitk  # noqa: PLC0415 - a study without maps does not wait for it

    with _one_thread():
        method = sitk.ImageRegistrationMethod()
        return _execute(method, fixed, moving, smoothing_mm, sampling)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep SimpleITK to one thread: with several, the order of summation changes the last digits of the metric."""
    import SimpleITK as sitk  # noqa: PLC0415

    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _execute(
    method: Any,  # noqa: ANN401 - SimpleITK has no types
    fixed: Volume,
    moving: Volume,
    smoothing_mm: tuple[float, ...],
    sampling: float,
) -> Motion:
    import SimpleITK as sitk  # noqa: PLC0415

    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.NONE if sampling >= 1 else method.REGULAR)
    method.SetMetricSamplingPercentage(min(sampling, 1.0), _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(_LEARNING_RATE, _MIN_STEP, _STEPS, _RELAXATION)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2] * (len(smoothing_mm) - 1) + [1])
    method.SetSmoothingSigmasPerLevel(list(smoothing_mm))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    start = sitk.Euler3DTransform()
    start.SetCenter([float(x) for x in fixed.affine[:3, :3] @ (np.array(fixed.shape) - 1) / 2 + fixed.affine[:3, 3]])
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(*(image.astype(np.float32).to_simpleitk() for image in (fixed, moving)))
    return Motion(_matrix(start), -float(method.GetMetricValue()))


def _matrix(transform: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """Give a rotation around a centre and a translation as one matrix (4, 4)."""
    matrix = np.eye(4)
    turn, centre = np.reshape(transform.GetMatrix(), (3, 3)), np.array(transform.GetCenter())
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix
