"""What a map measures: the one table of names, codes, units, digits and windows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from pydicom.sr.coding import Code

from lnc_dicom.codes import (
    ABSOLUTE_BLOOD_FLOW,
    FRACTIONAL_ANISOTROPY,
    ML_PER_100_G_AND_MINUTE,
    NO_UNITS,
    RELATIVE_BLOOD_FLOW,
)


class Quantity(Enum):
    """What a map measures; the value is the key in result.json.

    FA has no unit (0 to 1), CBF is in ml/100 g/min, relative CBF is in an arbitrary unit of the scanner.
    """

    FA = "fa"
    CBF = "cbf"
    RELATIVE_CBF = "relative_cbf"


@dataclass(frozen=True, slots=True)
class QuantityProperties:
    """How a quantity is named, coded and written.

    name, short_name
        In text, and in the heads of narrow columns. A relative map is never called CBF alone.
    code, unit
        Concept and unit in DICOM objects (PS3.16 CID 7469, CID 7181).
    ucum
        The unit as UCUM spells it, for FHIR; DICOM's `ml/[100]g/min` is not valid UCUM.
    unit_text
        The unit that a reader sees; empty where there is none.
    digits, coded_digits
        Decimals for readers, and in DICOM objects.
    window
        Values shown from black to white; None where the unit is arbitrary, so that it depends on the map.
    """

    name: str
    short_name: str
    code: Code
    unit: Code
    ucum: str
    unit_text: str
    digits: int
    coded_digits: int
    window: tuple[float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class TensorNoise:
    """What is needed to tell the FA of tissue from that of noise.

    snr
        Signal at b = 0 over the SD of the noise, on the grid of the map; nan outside the brain.
    diffusivity
        Mean diffusivity in mm²/s on the same grid.
    b_values, directions
        (volumes,) in s/mm² and (volumes, 3): those that the tensor was fitted to.
    """

    snr: npt.NDArray[np.float32] = field(repr=False)
    diffusivity: npt.NDArray[np.float32] = field(repr=False)
    b_values: npt.NDArray[np.float64] = field(repr=False)
    directions: npt.NDArray[np.float64] = field(repr=False)


QUANTITIES: Mapping[Quantity, QuantityProperties] = MappingProxyType(
    {
        Quantity.FA: QuantityProperties(
            name="FA",
            short_name="FA",
            code=FRACTIONAL_ANISOTROPY,
            unit=NO_UNITS,
            ucum="1",
            unit_text="",
            digits=2,
            coded_digits=4,
            window=(0.0, 1.0),
        ),
        Quantity.CBF: QuantityProperties(
            name="CBF",
            short_name="CBF",
            code=ABSOLUTE_BLOOD_FLOW,
            unit=ML_PER_100_G_AND_MINUTE,
            ucum="mL/(100.g)/min",
            unit_text="ml/100 g/min",
            digits=0,
            coded_digits=2,
            window=(0.0, 100.0),
        ),
        Quantity.RELATIVE_CBF: QuantityProperties(
            name="relative CBF",
            short_name="rel. CBF",
            code=RELATIVE_BLOOD_FLOW,
            unit=NO_UNITS,
            ucum="1",
            unit_text="",
            digits=0,
            coded_digits=2,
            window=None,
        ),
    }
)
