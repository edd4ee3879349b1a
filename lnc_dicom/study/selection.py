"""The choice of series: what is measured, what was tried in vain, and why the others are not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lnc_dicom.predictions import freeze
from lnc_dicom.types import Caveat, Reason, Role, Series


@dataclass(frozen=True, slots=True)
class FailedSeries:
    """A T1-weighted series that was tried and could not be measured, with the code of the error and what it said."""

    series: Series
    code: str
    what: str

    def __str__(self) -> str:
        """One phrase; the number of the series is all that it tells of it."""
        number = self.series.header.get("SeriesNumber")
        named = "a T1-weighted series" if number is None else f"series {number}"
        return f"{named}: {self.code} {self.what}"


@dataclass(frozen=True, slots=True)
class Selection:
    """The series to use, and every other one with the reason why not.

    chosen
        The T1-weighted series.
    map_series
        The series from which FA and CBF come, by role.
    failed
        Series that were preferred to the chosen one and could not be measured.
    caveats
        What a reader must know of the choice.
    """

    chosen: Series
    passed_over: tuple[tuple[Series, Reason], ...]
    map_series: Mapping[Role, Series] = field(default_factory=dict)
    failed: tuple[FailedSeries, ...] = ()
    caveats: tuple[Caveat, ...] = ()

    def __post_init__(self) -> None:
        """Make the roles read-only."""
        freeze(self, "map_series")
