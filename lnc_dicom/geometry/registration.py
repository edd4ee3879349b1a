"""Two volumes → the rigid motion between them: the one door to SimpleITK's registration.

Mattes' mutual information (Mattes et al., IEEE Trans Med Imaging 2003; 22:120), because the two images seldom have the
same contrast. One thread and regular sampling, so the same images give the same motion, bit by bit.
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
"""Where on its lattice a sample lies is drawn; without a seed from the clock."""
_STEPS = 60
_LEARNING_RATE = 1.0
_MIN_STEP = 0.005
_RELAXATION = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A rigid motion of points in LPS millimetres, and how well the images share information after it.

    lps_mm
        (4, 4), maps a point of the fixed image to the same place of the head in the moving image.
    information
        Mutual information in nats; 0 where the images tell nothing of each other.
    """

    lps_mm: npt.NDArray[np.float64] = field(repr=False)
    information: float

    @property
    def turn_deg(self) -> float:
        """Angle of the rotation."""
        cosine = (np.trace(self.lps_mm[:3, :3]) - 1) / 2
        return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))

    def shift_mm(self, points_mm: npt.NDArray[np.float64]) -> float:
        """Longest way that one of the points (N, 3) is moved."""
        moved = points_mm @ self.lps_mm[:3, :3].T + self.lps_mm[:3, 3]
        return float(np.linalg.norm(moved - points_mm, axis=1).max())


def register(fixed: Volume, moving: Volume, smoothing_mm: tuple[float, ...], *, sampling: float = 1.0) -> Motion:
    """Find the rigid motion that lays `moving` on `fixed`, starting from the geometry in the headers.

    fixed, moving
        Any contrast. Outside `moving` nothing is compared.
    smoothing_mm
        SD of the smoothing, one per pass, coarse to fine.
    sampling
        Share of the fixed voxels that are compared, on a regular lattice.
    """
    import SimpleITK as sitk  # noqa: PLC0415 - a study without maps does not wait for it

    with _one_thread():
        method = sitk.ImageRegistrationMethod()
        return _execute(method, fixed, moving, smoothing_mm, sampling)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep SimpleITK to one thread: the order in which several add up changes the last digits of the metric."""
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
    method.Execute(_image(fixed), _image(moving))
    return Motion(_matrix(start), -float(method.GetMetricValue()))


def carry(moving: Volume, motion: Motion, grid: Volume) -> npt.NDArray[np.float32]:
    """Sample `moving` on the grid of another volume after the motion, with cubic B-splines; 0 outside.

    Returns float32 of the grid's shape.
    """
    import SimpleITK as sitk  # noqa: PLC0415

    transform = sitk.AffineTransform(3)
    transform.SetMatrix(motion.lps_mm[:3, :3].ravel().tolist())
    transform.SetTranslation(motion.lps_mm[:3, 3].tolist())
    moved = sitk.Resample(_image(moving), _image(grid), transform, sitk.sitkBSpline, 0.0, sitk.sitkFloat32)
    return np.asarray(sitk.GetArrayFromImage(moved).transpose(), np.float32)


def _image(volume: Volume) -> Any:  # noqa: ANN401 - SimpleITK has no types
    import SimpleITK as sitk  # noqa: PLC0415

    image = sitk.GetImageFromArray(np.ascontiguousarray(np.asarray(volume.array, np.float32).transpose()))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    return image


def _matrix(transform: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    """Write a transform that turns around a centre as one matrix."""
    matrix = np.eye(4)
    turn, centre = np.reshape(transform.GetMatrix(), (3, 3)), np.array(transform.GetCenter())
    matrix[:3, :3] = turn
    matrix[:3, 3] = np.array(transform.GetTranslation()) + centre - turn @ centre
    return matrix
