import time
from dataclasses import replace

import pytest
import typer

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.cli import console
from lnc_dicom.errors import Defect, NoT1, PacsUnreachable, UnusableInput
from lnc_dicom.pipeline import analyse
from lnc_dicom.study.read import read_study
from lnc_dicom.study.selection import FailedSeries
from lnc_dicom.tools import Tools
from lnc_dicom.types import Caveat, Check, Measurement, Quantity, Statistic
from tests.factories import NOW, BoxSegmenter, write_series


@pytest.mark.parametrize(
    ("error", "code"), [(UnusableInput("x"), 2), (NoT1("x"), 3), (Defect("x"), 1), (PacsUnreachable("x"), 1)]
)
def test_the_family_of_an_error_decides_the_exit_code(error, code, capsys):
    with pytest.raises(typer.Exit) as ended, console.exits():
        raise error
    assert ended.value.exit_code == code
    shown = capsys.readouterr().err
    assert error.code in shown
    assert error.do[:20] in shown


def test_other_errors_are_not_swallowed():
    with pytest.raises(ZeroDivisionError), console.exits():
        _ = 1 / 0


def test_a_stage_is_timed_even_if_it_fails():
    watch = console.Stopwatch(["read"])
    with pytest.raises(ZeroDivisionError), watch as stage, stage("read"):
        _ = time.sleep(0.02) or 1 / 0
    assert watch.seconds["read"] >= 0.02


def test_a_failed_structure_shows_its_code_and_no_number():
    failed = Check("LNC-516", "pieces", 2.0, 1.0, 1.0)
    shown = console._cell(Measurement(STRUCTURES[0], 900, 0.9, (0.8, 1.0), (failed,)))
    assert "LNC-516" in shown
    assert "0.9" not in shown


def test_a_volume_stands_with_its_interval_and_cbf_without_decimals():
    measurement = Measurement(
        STRUCTURES[0], 900, 0.912, (0.8, 1.04), statistics={Quantity.CBF: Statistic(51.6, 9.7, 50, 30)}
    )
    assert console._cell(measurement) == "0.91 [dim](0.80 to 1.04)[/]"
    assert console._mean(measurement, Quantity.CBF).startswith("52 ")
    assert console._mean(measurement, Quantity.FA) == "-"


def test_a_stage_that_comes_again_is_timed_together():
    watch = console.Stopwatch(["volume"])
    with watch as stage:
        for _ in range(2):
            with stage("volume"):
                time.sleep(0.01)
    assert watch.seconds["volume"] >= 0.02


def test_a_series_that_was_tried_in_vain_is_shown_with_its_reason(tmp_path, capsys):
    write_series(tmp_path)
    report = analyse(read_study([tmp_path]), Tools(BoxSegmenter(), NOW))
    failed = FailedSeries(report.study.series[0], "LNC-105", "a gap of 4.0 mm")
    console.show_report(replace(report, selection=replace(report.selection, failed=(failed,))))
    assert "tried in vain series 2: LNC-105 a gap of 4.0 mm" in capsys.readouterr().out


def test_caveats_go_to_stderr(capsys):
    console.show_caveats([Caveat("LNC-405", "the delay was taken from the settings")])
    shown = capsys.readouterr()
    assert "LNC-405" in shown.err
    assert not shown.out


def test_results_cannot_go_into_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UnusableInput, match="cannot write"):
        console.make_folder(tmp_path / "taken")
