"""Everything a site can choose. The only reader of environment and TOML.

Environment (LNC_SECTION__NAME) over lnc.toml over defaults. Unknown names are refused, in the file and in the
environment, because a setting that is misspelt and silently ignored is the hardest fault to find.
"""

from __future__ import annotations

import math
import os
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from sqlalchemy import make_url

from lnc_dicom.errors import BadSettings
from lnc_dicom.options import (
    BiomarkerOptions,
    DiffusionOptions,
    MapsOptions,
    Options,
    PerfusionOptions,
    Section,
    complaint,
)
from lnc_dicom.outputs import Output, default_outputs, union

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]

DEFAULT_FILE = Path("lnc.toml")
_PREFIX = "LNC_"


class Listen(Section):
    """How scanners and the PACS reach us."""

    host: str = "0.0.0.0"  # noqa: S104 - a receiver must be reached from other machines
    """Address to listen on."""
    port: Port = 11112
    """TCP port of the storage SCP."""
    ae_title: AeTitle = "LNC"
    """Our application entity title."""
    also_called: tuple[AeTitle, ...] = ()
    """Further titles that senders may call."""
    calling: tuple[AeTitle, ...] = ()
    """Titles that may send; empty: every one."""
    stat: tuple[AeTitle, ...] = ()
    """Titles of senders whose studies are measured before others, as those are whose images say STAT or HIGH."""
    addresses: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks (10.1.0.0/16) that may connect; empty: every one."""
    associations: int = Field(32, ge=1, le=200)
    """Associations at once."""
    associations_per_address: int = Field(16, ge=1)
    """Of these, from one address."""
    largest_object_mb: int = Field(2048, ge=1)
    """Larger objects are refused."""
    free_disk_mb: int = Field(1024, ge=0)
    """New associations are refused when less is free on the disk of the spool, objects when less than half of it is."""
    tls_certificate: Path | None = None
    """Certificate chain (PEM); with it only TLS is spoken."""
    tls_key: Path | None = None
    """Its private key (PEM); none: it is in the file of the certificate."""
    tls_client_authority: Path | None = None
    """Authority (PEM) that must have signed the senders' certificates; none: senders need no certificate."""
    study_quiet_s: float = Field(60.0, gt=0)
    """A study is complete when no object has arrived for this long."""
    study_longest_s: float = Field(3600.0, gt=0)
    """A study that never falls quiet is taken as it is after this long."""


class Pacs(Section):
    """Where results go."""

    host: str
    """Name or address of the PACS."""
    port: Port = 104
    """TCP port of its storage SCP."""
    ae_title: AeTitle
    """Its application entity title."""
    name: str = Field("", max_length=64)
    """What the destination is called in jobs and logs; empty: its application entity title. Deliveries follow it."""
    timeout_s: float = Field(30.0, gt=0)
    """Longest wait for an answer."""
    objects: tuple[Output, ...] | None = None
    """Kinds of objects that go there; none: those of the setting `objects`."""
    commitment: bool = False
    """Ask it to commit itself to keep what it has stored (storage commitment)."""
    read_back: bool = False
    """Look whether it shows what it has stored, by C-FIND."""
    proof_within_h: float = Field(24.0, gt=0)
    """How long commitment and read-back are waited for; then the job is FAILED."""

    @property
    def proves(self) -> bool:
        """Whether a delivery is proved."""
        return self.commitment or self.read_back


class Retry(Section):
    """What happens while a destination is down or cannot store. Results are kept whatever happens."""

    first_wait_s: float = Field(5.0, gt=0)
    """Wait after the first failure."""
    backoff: float = Field(1.6, ge=1)
    """Every wait is this many times the one before."""
    longest_wait_s: float = Field(300.0, gt=0)
    """Longest wait between two attempts."""
    give_up_after_h: float = Field(168.0, gt=0)
    """How long a destination that does not answer is tried, for each job."""
    attempts: int = Field(20, ge=1)
    """How often an object is sent that the destination says it cannot store now; then it counts as refused."""

    def wait_s(self, attempt: int) -> float:
        """How long to wait after an attempt, the first being 1."""
        growth = min(attempt - 1, 1000) * math.log(self.backoff)
        return min(self.longest_wait_s, self.first_wait_s * math.exp(min(growth, 50.0)))


class Compute(Section):
    """Limits of the process that computes. A study that breaks one is tried again, then FAILED with LNC-302."""

    time_limit_s: float = Field(1800.0, gt=0)
    """Longest time for one study."""
    memory_limit_mb: int = Field(16000, ge=1)
    """Most memory that it may hold, in MB (10⁶ bytes)."""
    attempts: int = Field(3, ge=1)
    """How often a study is computed whose process ended before its result."""


class Keep(Section):
    """How long the spool keeps what every destination has, or what was rejected. Anything else stays."""

    images_days: float = Field(5.0, ge=0)
    """How long received images are kept after their jobs have ended."""
    results_days: float = Field(30.0, ge=0)
    """How long results are kept; the SR and result.json stay, because later results name them."""
    jobs_days: float = Field(365.0, ge=0)
    """How long a job is remembered, with its SR and result.json; the same study is measured anew after that."""


class Settings(BaseSettings):
    """All settings: environment over lnc.toml over defaults."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    listen: Listen = Listen()
    pacs: Pacs
    others: tuple[Pacs, ...] = ()
    """Further destinations, `[[others]]` in the file, each with the same settings as `pacs`."""
    objects: tuple[Output, ...] | None = None
    """Kinds of objects for every destination that does not choose its own.

    None: seg, sr, summary, and of a site's own model biomarker and saliency.
    """
    retry: Retry = Retry()
    compute: Compute = Compute()
    keep: Keep = Keep()
    diffusion: DiffusionOptions = DiffusionOptions()
    perfusion: PerfusionOptions = PerfusionOptions()
    maps: MapsOptions = MapsOptions()
    biomarker: BiomarkerOptions = BiomarkerOptions()
    rules: Path | None = None
    """TOML file with rules, read again when it changes; none: every study is measured and goes everywhere."""
    spool: Path = Path("/var/lib/lnc")
    """Folder for received objects, results and the workflow database."""
    database_url: str = ""
    """SQLAlchemy URL of the workflow database; empty: SQLite in the spool."""

    @model_validator(mode="after")
    def _name_every_destination_apart(self) -> Settings:
        """Deliveries are known by the name of their destination."""
        names = [name_of(destination) for destination in self.destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name; give each a `name`")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _toml_file)

    def options(self, *, demonstration: bool) -> Options:
        """Give what the library needs to know; each kind is made once that any destination gets, and FHIR beside them.

        demonstration
            Whether the biomarker model is a demonstration, whose predictions nobody gets who does not ask.
        """
        known = {name: getattr(self, name) for name in Options.model_fields}
        local = [Output.FHIR] if Output.FHIR in (self.objects or ()) else []
        made = union([*(self.objects_of(d, demonstration=demonstration) for d in self.destinations), local])
        return Options(**(known | {"objects": made}))

    @property
    def destinations(self) -> tuple[Pacs, ...]:
        """Everyone who gets results, in the order of delivery."""
        return (self.pacs, *self.others)

    def destination(self, name: str) -> Pacs | None:
        """Find a destination by its name; None if the settings no longer have it."""
        return next((d for d in self.destinations if name_of(d) == name), None)

    def objects_of(self, destination: Pacs, *, demonstration: bool) -> tuple[Output, ...]:
        """Give the kinds that a destination gets; predictions of a demonstration model only where they are named."""
        chosen = self.objects if destination.objects is None else destination.objects
        return default_outputs(demonstration=demonstration) if chosen is None else chosen

    @property
    def demonstration(self) -> bool:
        """Whether the biomarker model is that of the release, as far as the settings tell."""
        return self.biomarker.enabled and self.biomarker.model is None

    @property
    def workflow_database_url(self) -> str:
        """Where the workflow engine keeps its state."""
        return self.database_url or f"sqlite:///{self.spool.resolve() / 'workflows.sqlite'}"


def settings_json(settings: Settings) -> str:
    """Write the settings down for people, without the password of the database."""
    url = settings.database_url
    shown = make_url(url).render_as_string(hide_password=True) if url else ""
    return settings.model_copy(update={"database_url": shown}).model_dump_json(indent=2)


def name_of(destination: Pacs) -> str:
    """Give the name of a destination: its own, or its AE title."""
    return destination.name or destination.ae_title.strip()


_toml_file: Path | None = None


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings. Raises BadSettings, naming what is wrong but never a value.

    file
        The TOML file; None: lnc.toml in the working directory if it is there.
    """
    global _toml_file  # noqa: PLW0603 - pydantic-settings takes its file from the class, not from the call
    if file is not None and not file.is_file():
        raise BadSettings(f"there is no file {file}")
    _toml_file = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    _refuse_unknown_variables()
    try:
        return Settings()
    except ValidationError as error:
        raise BadSettings("; ".join(complaint(e) for e in error.errors(include_input=False))) from error
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"{_toml_file} is not TOML: {error}") from error
    finally:
        _toml_file = None


def _refuse_unknown_variables() -> None:
    """Refuse LNC_… variables that no section knows: pydantic-settings ignores them at the top level."""
    for name in os.environ:
        if name.upper().startswith(_PREFIX):
            section = name.upper().removeprefix(_PREFIX).split("__")[0].lower()
            if section not in Settings.model_fields:
                raise BadSettings(f"unknown environment variable {name}")
