"""The nouns: frozen values that the stages hand to each other.

The volume is `highdicom.Volume`: array axes are (slice, row, column) of the source, its affine maps an index to
LPS millimetres. It is never changed in place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from pydicom import Dataset
from pydicom.uid import UID, Comprehensive3DSRStorage

from lnc_dicom.anatomy import Structure
from lnc_dicom.predictions import freeze
from lnc_dicom.quantities import Quantity


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM object on disk; `header` holds its attributes without pixels."""

    path: Path = field(repr=False)
    header: Dataset = field(repr=False)


@dataclass(frozen=True, slots=True)
class Series:
    """The instances of one series, ordered by SOP Instance UID so that file names do not matter.

    The parts of one acquisition that was sent as several series are one series, with the UID of its first part.
    """

    uid: str = field(repr=False)
    instances: tuple[Instance, ...] = field(repr=False)

    @property
    def header(self) -> Dataset:
        """Attributes of the first instance."""
        return self.instances[0].header

    @property
    def parts(self) -> tuple[Series, ...]:
        """The series as they were sent: more than one where a scanner split an acquisition."""
        groups: dict[str, list[Instance]] = {}
        for instance in self.instances:
            groups.setdefault(str(instance.header.get("SeriesInstanceUID")), []).append(instance)
        return tuple(Series(uid, tuple(part)) for uid, part in groups.items()) if len(groups) > 1 else (self,)


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something that a reader of the results must know; not an error.

    is_our_text
        The text is wholly ours: numbers, attribute names and names of structures. Only such a text is drawn on pages
        and written into reports; any other could name the patient and goes into result.json alone.
    """

    code: str
    text: str
    is_our_text: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier result of ours.

    made
        When its content was made.
    images
        SOP Instance UIDs that it was made from, its own SEG among them.
    algorithm
        Name and version of what measured the volumes.
    volumes_mm3
        Volume by tracking UID; structures that failed are absent.
    sop_class
        Comprehensive 3D SR, or Comprehensive SR where a PACS takes no other.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    uid: str = field(repr=False)
    made: datetime = field(repr=False)
    study_date: date | None = field(repr=False)
    images: frozenset[str] = field(repr=False)
    algorithm: tuple[str, str]
    volumes_mm3: Mapping[str, float] = field(repr=False)
    sop_class: UID = Comprehensive3DSRStorage

    def __post_init__(self) -> None:
        """Make the volumes read-only."""
        freeze(self, "volumes_mm3")

    def reference(self) -> Dataset:
        """Name it as a predecessor document (PS3.3 C.17.2)."""
        named = Dataset()
        named.StudyInstanceUID, named.SeriesInstanceUID = self.study_uid, self.series_uid
        named.SOPClassUID, named.SOPInstanceUID = self.sop_class, self.uid
        return named


@dataclass(frozen=True, slots=True)
class VolumeChange:
    """How the volume of a structure differs from the earlier one, in mm³ and in percent of the earlier one."""

    structure: Structure
    mm3: float
    percent: float


@dataclass(frozen=True, slots=True)
class Change:
    """What changed since an earlier study of the patient; `volumes` is empty where another model measured then."""

    since: Prior
    days: int
    volumes: tuple[VolumeChange, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """The series of one study, what was wrong with files that could not be used, and earlier results of ours.

    version
        Tells apart contents that came under the same SOP Instance UIDs; empty for the first. Part of every result UID.
    """

    uid: str = field(repr=False)
    series: tuple[Series, ...]
    caveats: tuple[Caveat, ...] = ()
    priors: tuple[Prior, ...] = ()
    version: str = ""


class Reason(Enum):
    """Why a series was not used; the value is what the user reads."""

    NOT_MR = "not an MR image"
    NO_POSITION = "ImagePositionPatient is missing or not valid in every image"
    NO_ORIENTATION = "ImageOrientationPatient is missing or not valid in every image"
    NO_SPACING = "PixelSpacing is missing or not valid in every image"
    TOO_FEW_SLICES = "too few slices for a head"
    DERIVED = "derived, not acquired"
    LOCALISER = "a localiser"
    DIFFUSION = "diffusion"
    PERFUSION = "perfusion"
    ANGIOGRAPHY = "angiography"
    NOT_MAGNITUDE = "not a magnitude image"
    NOT_T1 = "not T1-weighted"
    OTHER_BODY_PART = "another part of the body"
    OTHER_PLANE_SET = "images of different size or orientation in one series"
    TOO_COARSE = "voxels too large; another T1-weighted series has smaller ones"
    INVERSION_IMAGE = "inversion image of an MP2RAGE whose uniform image is there"
    SMALLER_COVER = "another T1-weighted series covers more"
    DOUBTFUL_REGION = "the header also names another part of the body; another T1-weighted series is of the head"
    TIMING_ONLY = "T1-weighted by its timing alone; another series is by preparation or name"
    LAST_RESORT = "derived; another T1-weighted series is as acquired"
    OTHER_SEQUENCE = "another T1-weighted series is a prepared or 3D gradient echo"
    CONTRAST_GIVEN = "contrast agent given; another T1-weighted series is without"
    NOT_PREPARED = "another T1-weighted series is prepared by inversion"
    UNCORRECTED = "another T1-weighted series is corrected for distortion"
    ONE_ECHO = "another T1-weighted series combines the echoes"
    DENOISED = "denoised; another uniform image of an MP2RAGE is not"
    NOT_3D = "another T1-weighted series is 3D"
    COARSER = "another T1-weighted series has smaller voxels"
    LATER = "as good as the chosen T1-weighted series, but acquired later"
    MAP_MADE = "diffusion or labelling whose map the scanner made"
    OTHER_MAP = "another map of the same quantity is finer"
    OTHER_DIFFUSION = "another diffusion-weighted series has more directions"
    OTHER_PERFUSION = "another series of arterial spin labelling has more volumes"


class Role(Enum):
    """What a series beside the T1 is used for; the value is what the user reads."""

    FA_MAP = "FA map that the scanner made"
    DIFFUSION = "diffusion-weighted images, for FA"
    FA_REGISTRATION = "diffusion-weighted images, of which b = 0 aligns the FA map that the scanner made"
    CBF_MAP = "CBF map that the scanner made"
    RELATIVE_CBF_MAP = "relative CBF map that the scanner made"
    LABELLING = "arterial spin labelling, for CBF"
    CBF_REGISTRATION = "arterial spin labelling, of which M0 aligns the CBF map that the scanner made"
    M0 = "M0 image of the arterial spin labelling"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A quantity in one structure: mean, SD (of the voxels, n - 1), median, and the number of voxels of the map."""

    mean: float
    sd: float
    median: float
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantityMap:
    """A map of one quantity, and the image of the same acquisition that is registered to the T1.

    values
        float32 Volume on the map's own grid, in the unit of `quantity`; nan where nothing was measured.
    registration_image
        float32 Volume, usually on the same grid, always in the same patient coordinates: b = 0, M0, or the map.
    method
        How the values were made, one phrase.
    sources
        The series that went in.
    registers_itself
        Whether the map itself is the registration image; it shares less information with the T1 than b = 0 or M0.
    """

    quantity: Quantity
    values: Volume = field(repr=False)
    registration_image: Volume = field(repr=False)
    method: str
    sources: tuple[Series, ...]
    caveats: tuple[Caveat, ...] = ()
    registers_itself: bool = False


@dataclass(frozen=True, slots=True)
class Confidence:
    """What the network showed of one structure, beside its voxels.

    probability
        Mean probability that it gave to the structure's voxels.
    entropy
        Mean entropy of the class probabilities in those voxels, in bits.
    mirror_dice
        Dice between the plain and the mirrored inference.
    largest_component
        Share of the voxels that lay in the largest face-connected piece; the others were removed.
    spread
        Sum of p (1 - p) over the sum of p: how much of the volume lies in doubtful voxels.
    volume_error
        Half the width of the 90 % interval of ln(volume); None where the segmenter is not calibrated.
    """

    probability: float
    entropy: float = 0.0
    mirror_dice: float = 1.0
    largest_component: float = 1.0
    spread: float = 0.0
    volume_error: float | None = None


@dataclass(frozen=True, slots=True)
class Pose:
    """How the structures lie against the mean of the training heads.

    turn_deg
        Angle by which the head is turned.
    scale
        Size against the mean.
    misfit_mm
        Root mean square of what remains between the centroids after turning, scaling and shifting.
    """

    turn_deg: float
    scale: float
    misfit_mm: float


@dataclass(frozen=True, slots=True, eq=False)
class Segmented:
    """Labels of `anatomy.STRUCTURES` on the grid of the source volume.

    labels
        uint8 Volume, axes (slice, row, column).
    confidence
        What the network showed of each label; absent where a label has no voxel.
    pose
        None where too few structures were found to tell.
    feature_distance
        How unlike the training images the network found the crop; about 1 is ordinary.
    brain_is_cut
        Whether the edge of the images cuts the brain.
    """

    labels: Volume = field(repr=False)
    confidence: Mapping[int, Confidence]
    pose: Pose | None = None
    feature_distance: float = 1.0
    brain_is_cut: bool = False

    def __post_init__(self) -> None:
        """Check the type of the labels and make everything read-only."""
        freeze(self, "confidence")
        if self.labels.array.dtype != np.uint8:
            raise TypeError("labels must be uint8")
        self.labels.array.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Check:
    """The answer of one gate: a number and the limits that it has to keep; `measure.gates.GATES` has their origin."""

    code: str
    name: str
    value: float
    low: float
    high: float

    @property
    def passed(self) -> bool:
        """Whether the number keeps the limits; a number that is not one does not."""
        return bool(self.low <= self.value <= self.high)

    def __str__(self) -> str:
        """One phrase: the name, the number, and the limit that it breaks or keeps."""
        at_most = self.value > self.high or self.low == -math.inf
        limit = f"at most {self.high:.4g}" if at_most else f"at least {self.low:.4g}"
        return f"{self.name} {self.value:.3g} ({limit})"


@dataclass(frozen=True, slots=True, eq=False)
class AlignedMap:
    """A map and the way from the T1 to it.

    to_map_mm
        (4, 4), rigid: maps a point of the T1, LPS millimetres, to the same place of the head in the map's coordinates.
    checks
        What the gates found of the alignment and of the values.
    statistics
        The quantity by label; structures that the map does not hold are absent.
    """

    map: QuantityMap
    to_map_mm: npt.NDArray[np.float64] = field(repr=False)
    checks: tuple[Check, ...] = ()
    statistics: Mapping[int, Statistic] = field(default_factory=dict)
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        """Make the statistics read-only."""
        freeze(self, "statistics")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured in one structure.

    volume_ml
        Counts whole voxels. Not to be used where the structure has failed.
    interval_ml
        90 % interval of the volume; None where the segmenter is not calibrated.
    checks
        What the gates found, in the order of `measure.gates.GATES`.
    statistics
        FA and CBF where they were measured; empty for a structure that failed.
    """

    structure: Structure
    voxels: int
    volume_ml: float
    interval_ml: tuple[float, float] | None = None
    checks: tuple[Check, ...] = ()
    statistics: Mapping[Quantity, Statistic] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the statistics read-only."""
        freeze(self, "statistics")

    @property
    def failure(self) -> Check | None:
        """The first gate that this structure did not pass."""
        return next((check for check in self.checks if not check.passed), None)

    @property
    def passed(self) -> bool:
        """Whether the numbers may be used."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class Asymmetry:
    """(L - R) / ((L + R) / 2) of one structure, positive where the patient's left is larger; None: not defined."""

    name: str
    volume: float | None
    quantities: Mapping[Quantity, float | None]

    def __post_init__(self) -> None:
        """Make the values read-only."""
        freeze(self, "quantities")
