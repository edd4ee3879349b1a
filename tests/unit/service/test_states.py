from lnc_dicom.errors import NoT1
from lnc_service.states import ENDED, JobState, ended


def test_a_job_that_is_waited_for_has_not_ended():
    going_on = {JobState.RECEIVING, JobState.WAITING, JobState.RUNNING, JobState.DELIVERING}
    assert going_on == set(JobState) - ENDED


def test_an_error_says_in_the_outcome_what_happened_and_what_to_do():
    outcome = ended(JobState.REJECTED, NoT1("no series"))
    assert (outcome["state"], outcome["code"], outcome["what"], outcome["do"]) == (
        "REJECTED",
        NoT1.code,
        "no series",
        NoT1.do,
    )
