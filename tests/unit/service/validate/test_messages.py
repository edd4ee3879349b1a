import re

import pytest

from lnc_service.validate.messages import Severity, explain, known_messages, row_of, without_values


@pytest.mark.parametrize("row", known_messages(), ids=lambda r: f"{r.program} {r.pattern}")
def test_every_known_message_has_an_example_cause_and_cure(row):
    program = "dciodvfy" if row.program == "*" else row.program
    assert re.search(row.pattern, row.example)
    assert row_of(program, row.example, row.sop_class) is row  # no row before it takes its example
    assert row.cause.endswith(".")
    assert row.cure.endswith(".")


def test_a_line_that_is_not_in_the_table_is_new_and_an_unknown_error_is_an_error():
    (warning,) = explain("dciodvfy", ["Warning - the moon is full"])
    (error,) = explain("dciodvfy", ["Error - the moon is full"])
    assert (warning.severity, error.severity) == (Severity.NEW, Severity.ERROR)


def test_a_row_holds_for_its_program_and_class_only():
    line = "Error - Information Object Not found"
    assert explain("dciodvfy", [line], "1.2.840.10008.5.1.4.1.1.66.7")[0].severity is Severity.KNOWN
    assert explain("dciodvfy", [line], "1.2.840.10008.5.1.4.1.1.4")[0].severity is Severity.ERROR
    assert explain("dsrdump", [line], "1.2.840.10008.5.1.4.1.1.66.7")[0].severity is Severity.ERROR


def test_the_same_message_is_said_once_with_its_number():
    (message,) = explain("dciodvfy", ["Error - x <1>", "Error - x <2>"])
    assert message.times == 2


@pytest.mark.parametrize(
    "line",
    [
        "Warning - Value dubious for this VR - (0x0010,0x0010) PN Patient's Name  PN [1] = <CANARY> - Retired form",
        "Error - Unrecognized enumerated value <CANARY> for value 1 of attribute <Patient's Sex>",
        "Error - Unrecognized enumerated value <A>CANARY<B> for value 1 of attribute <CANARY>",
        "Error - Different values for attribute - Element=<PatientID> IE=<Patient> for file </home/CANARY> versus <x>",
        "W: Reading unknown/unsupported CompletionFlag (CANARY)",
        'Error: 1.1: CODE (1,99LNC,"CANARY"): Incorrect',
        "E: invalid value 'CANARY' found",
        "Error - Missing attribute Element=<CANARY> Module=<CANARY>",
    ],
)
def test_no_value_of_a_file_is_repeated(line):
    assert "CANARY" not in without_values(line)
    assert len(without_values(line)) > 5


def test_no_uid_is_repeated():
    assert without_values("Error - not listed but have IMAGE ReferencedSOPInstanceUID 1.2.840.3") == (
        "Error - not listed but have IMAGE ReferencedSOPInstanceUID"
    )


def test_the_attribute_at_fault_is_named():
    line = "Error - Missing attribute Type 1 Required Element=<SegmentLabel> Module=<SegmentDescriptionMacro>"
    assert without_values(line) == "Error - Missing attribute Type 1 Required [SegmentLabel]"
