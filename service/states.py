"""The states of a job, as `lnc jobs list` shows them, and how a study or a delivery ended, as the database keeps it."""

from __future__ import annotations

from enum import StrEnum
from typing import NotRequired, TypedDict

from lnc_dicom.errors import LncError


class JobState(StrEnum):
    """Where a study stands."""

    RECEIVING = "RECEIVING"
    """Objects are arriving, or the quiet time after the last one has not passed."""
    WAITING = "WAITING"
    """The study is closed and stands in the queue."""
    RUNNING = "RUNNING"
    """The study is being measured."""
    DELIVERING = "DELIVERING"
    """The results lie in the spool; at least one destination does not have all of its objects yet."""
    DONE = "DONE"
    """Every destination has stored its objects, and proved it where it was asked to."""
    REJECTED = "REJECTED"
    """The study cannot be measured; its code says why. The same study will be rejected again."""
    FAILED = "FAILED"
    """Something of ours or of a destination failed for good; its code says what. `lnc jobs retry` runs it again."""


ENDED = frozenset({JobState.DONE, JobState.REJECTED, JobState.FAILED})
"""States that do not change by themselves."""


class StudyOutcome(TypedDict):
    """What happened to a study, with the reason where there is no result; DONE means that it was computed.

    demonstration
        A demonstration model made the predictions: a destination gets them only where it names their kind.
    """

    state: str
    code: str
    what: str
    do: str
    files: list[str]
    demonstration: NotRequired[bool]


class Reference(TypedDict):
    """An object as a destination has stored it, which may be in another SOP class than it was made in: UIDs."""

    sop_class: str
    sop_instance: str
    series: str
    study: str


class DeliveryOutcome(TypedDict):
    """What a destination has of a job, with the reason where it does not have all.

    refused
        Reason by file.
    instead
        Name of the SOP class in which a file is stored there, where that is not its own.
    """

    destination: str
    state: str
    code: str
    what: str
    do: str
    stored: list[str]
    refused: dict[str, str]
    waiting: list[str]
    instead: NotRequired[dict[str, str]]


def ended(state: JobState, error: LncError) -> StudyOutcome:
    """Give the outcome of a study that an error ended."""
    return StudyOutcome(state=state.value, code=error.code, what=error.what, do=error.do, files=[])


class ProofOutcome(TypedDict):
    """What a destination has committed itself to keep, and what it shows, of the files that it stored; or not asked."""

    destination: str
    state: str
    code: str
    what: str
    do: str
    committed: list[str] | None
    seen: list[str] | None
