"""`lnc process` on real studies with diffusion and perfusion: FA and CBF of every region, in result.json and the SR."""

import highdicom as hd
import pytest

from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.codes import ABSOLUTE_BLOOD_FLOW, FRACTIONAL_ANISOTROPY, RELATIVE_BLOOD_FLOW

QUANTITIES = {
    "philips-ingenia-3t": {"fa", "cbf"},
    "siemens-xa30-enhanced": {"fa", "cbf", "relative_cbf"},
}
MAX_SECONDS = {"diffusion": 60.0, "perfusion": 10.0}
"""Targets of the issue on two free cores; the test allows three times as much, for it seldom has them alone."""


@pytest.mark.parametrize("name", QUANTITIES)
def test_every_region_and_side_has_fa_and_cbf(process_once, name):
    _, _, result = process_once(name)
    for region in result["regions"]:
        for quantity in QUANTITIES[name] & set(region):
            noise = {"snr", "noise_floor"} if (name, quantity) == ("philips-ingenia-3t", "fa") else set()
            assert set(region[quantity]) == {"mean", "sd", "median", "n"} | noise, (region["name"], quantity)
            assert region[quantity]["n"] >= 5


@pytest.mark.parametrize("name", QUANTITIES)
def test_fa_is_high_in_the_capsule_and_low_in_the_nuclei(process_once, name):
    """Expected for adults: internal capsule .50 to .70, caudate and putamen .12 to .30."""
    _, _, result = process_once(name)
    for region in result["regions"]:
        if region["name"] == "internal capsule":
            assert 0.50 <= region["fa"]["mean"] <= 0.70
        if region["name"] in {"caudate", "putamen"}:
            assert 0.12 <= region["fa"]["mean"] <= 0.30


@pytest.mark.parametrize("name", QUANTITIES)
def test_blood_flows_in_grey_matter_more_than_in_white_and_not_in_fluid(process_once, name):
    _, _, result = process_once(name)

    def mean(*names):
        found = [r["cbf"]["mean"] for r in result["regions"] if r["name"] in names and "cbf" in r]
        return sum(found) / len(found)

    assert mean("caudate", "putamen", "thalamus") > 1.5 * mean("internal capsule")
    assert abs(mean("lateral ventricle")) < 0.3 * mean("caudate", "putamen", "thalamus")


@pytest.mark.parametrize("name", QUANTITIES)
def test_the_targets_of_time_hold_with_a_margin_for_company(process_once, name):
    _, _, result = process_once(name)
    for stage, limit in MAX_SECONDS.items():
        assert result["timings_s"][stage] < 3 * limit


def test_every_series_is_used_or_passed_over_with_its_reason(process_once):
    _, _, result = process_once("siemens-xa30-enhanced")
    used = {s["number"]: s["reason"] for s in result["series"]["used"]}
    assert set(used) == {10, 13, 25, 28}
    assert "scanner made" in used[10]
    assert {s["number"] for s in result["series"]["passed_over"]} == {11, 27}


@pytest.mark.parametrize("name", QUANTITIES)
def test_the_sr_carries_the_same_means_with_the_standards_codes(process_once, name):
    _, out, result = process_once(name)
    names = {"fa": FRACTIONAL_ANISOTROPY, "cbf": ABSOLUTE_BLOOD_FLOW, "relative_cbf": RELATIVE_BLOOD_FLOW}
    units = {"fa": "1", "cbf": "ml/[100]g/min", "relative_cbf": "1"}
    report = hd.sr.srread(out / "measurements.dcm").content
    groups = report.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(STRUCTURES)
    for group, region in zip(groups, result["regions"], strict=True):
        for quantity in QUANTITIES[name] & set(region):
            (item,) = group.get_measurements(name=names[quantity])
            assert item.value == pytest.approx(region[quantity]["mean"], abs=0.01)
            assert item.unit.value == units[quantity]
            assert item.derivation.meaning == "Mean"
