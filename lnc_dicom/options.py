"""What a site can choose about measuring; sections of the one TOML file, which the service's settings carry too."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from lnc_dicom.errors import BadSettings
from lnc_dicom.outputs import DEFAULT_OUTPUTS, Output

SERVICE_SECTIONS = frozenset(
    {*("listen", "pacs", "others", "retry", "compute", "keep", "spool", "database_url", "rules")}
)
"""Names in the same file that are the service's: `lnc process` lets them pass."""


class Section(BaseModel):
    """A group of settings: frozen, complete, refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DiffusionOptions(Section):
    """How FA is computed where the scanner has not made the map."""

    denoise: bool = True
    """Take noise away with MP-PCA where the series allows it (docs/reference/diffusion.md)."""
    correct_motion: bool = True
    """Register b = 0 volumes to the first of them and weighted volumes to their mean before the tensor is fitted."""
    max_b: float = Field(3500.0, gt=0)
    """Volumes with a larger b-value, in s/mm², are left out of the tensor."""


class PerfusionOptions(Section):
    """Constants of CBF at 3 T (Alsop et al., Magn Reson Med 2015; 73:102). Durations in ms."""

    partition_coefficient: float = Field(0.9, gt=0)
    """Brain/blood partition coefficient, mL/g."""
    pcasl_efficiency: float = Field(0.85, gt=0, le=1)
    """Share of the blood that pseudo-continuous labelling inverts."""
    pasl_efficiency: float = Field(0.98, gt=0, le=1)
    """Share of the blood that pulsed labelling inverts."""
    suppression_efficiency: float = Field(0.83, gt=0, le=1)
    """Share of the label that background suppression leaves, where M0 shows that there was any.

    0.83 after two pulses (Garcia et al., Magn Reson Med 2005; 54:366); how many there were, no header says.
    """
    blood_t1_ms: float = Field(1650.0, gt=0)
    """T1 of arterial blood."""
    tissue_t1_ms: float = Field(1330.0, gt=0)
    """T1 of grey matter; M0 taken with a TR below 5 s is corrected with it."""
    labelling_duration_ms: float = Field(1800.0, gt=0)
    """Labelling duration where the header is silent (a caveat says so)."""
    post_label_delay_ms: float = Field(2000.0, gt=0)
    """Post-label delay (pulsed: inversion time) where the header is silent (a caveat says so)."""
    bolus_duration_ms: float = Field(800.0, gt=0)
    """Duration of the bolus (TI1) of pulsed labelling where the header is silent (a caveat says so)."""


class MapsOptions(Section):
    """How a structure is measured in a map."""

    inside_share: float = Field(0.9, ge=0.5, le=1)
    """A voxel of the map counts where this share of it lies in the structure."""
    measured: tuple[Literal["fa", "cbf"], ...] = ("fa", "cbf")
    """Maps that are measured where a study has them; relative CBF goes with CBF."""


class BiomarkerOptions(Section):
    """What is predicted from the T1, and with which model."""

    enabled: bool = True
    """Predict FA, CBF, LSA stems and disease categories."""
    model: Path | None = None
    """Folder of a model that `lnc train biomarker` wrote; none: the demonstration model, without clinical meaning."""
    age_and_sex: bool = True
    """Use age and sex as covariates where the header has both; otherwise predictions rest on the T1 alone."""
    demonstration_disease: bool = False
    """Show the disease probabilities of a demonstration model; without it they are withheld everywhere."""


class Options(Section):
    """Every section that the library reads."""

    objects: tuple[Output, ...] = DEFAULT_OUTPUTS
    """Kinds of objects that are written."""
    diffusion: DiffusionOptions = DiffusionOptions()
    perfusion: PerfusionOptions = PerfusionOptions()
    maps: MapsOptions = MapsOptions()
    biomarker: BiomarkerOptions = BiomarkerOptions()


def settings_of_results(options: Options) -> str:
    """Write down, always in the same way, what changes results; a model is known by its digest, not by its folder."""
    sections = {"diffusion", "perfusion", "maps"}
    chosen = options.model_dump(mode="json", include=sections)
    if options.maps.measured == MapsOptions().measured:
        del chosen["maps"]["measured"]  # results of versions that always measured both keep their names
    biomarker = options.biomarker
    predictions = {"disease": biomarker.demonstration_disease, "age_and_sex": biomarker.age_and_sex}
    return json.dumps({**chosen, **predictions}, sort_keys=True)


def load_options(file: Path | None) -> Options:
    """Read the library's sections of a TOML file; None gives the defaults. Raises BadSettings, never naming a value."""
    if file is None:
        return Options()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return Options.model_validate({k: v for k, v in content.items() if k not in SERVICE_SECTIONS})
    except OSError as error:
        raise BadSettings(f"cannot read {file}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{file} is not TOML: {error}") from error
    except ValidationError as error:
        raise BadSettings("; ".join(complaint(e) for e in error.errors(include_input=False))) from error


def choose_objects(options: Options, names: str | None) -> Options:
    """Let a list of kinds, "seg,sr", win over the settings; None leaves them. Raises BadSettings, naming what is known.

    A name that is not known is not repeated.
    """
    if names is None:
        return options
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    known = [kind.value for kind in Output]
    if not chosen or not set(chosen) <= set(known):
        raise BadSettings(f"the kinds of objects are {', '.join(known)}, separated by commas")
    return options.model_copy(update={"objects": tuple(Output(name) for name in dict.fromkeys(chosen))})


def complaint(error: ErrorDetails) -> str:
    """Say where a setting is wrong and how, never its value."""
    where = ".".join(str(part) for part in error["loc"])
    return f"{where}: {error['msg']}"
