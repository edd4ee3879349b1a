import numpy as np
import pytest

from lnc_dicom.maps.asl_timing import Timing
from lnc_dicom.maps.kinetic_model import consensus_cbf, fitted_cbf
from lnc_dicom.options import PerfusionOptions

OPTIONS = PerfusionOptions()


def _timing(kind, duration_ms, delay_ms=0.0, slice_ms=0.0):
    slice_ms = np.reshape(slice_ms, (-1, 1, 1))
    return Timing(kind, duration_ms, delay_ms + slice_ms, slice_ms=slice_ms)


def test_cbf_of_continuous_labelling_is_the_consensus_formula():
    """Alsop 2015, equation 1, worked out by hand for ΔM / M0 = 1 %, PLD 1.8 s, LD 1.8 s."""
    values = consensus_cbf(np.full((2, 2, 2), 0.01), _timing("PCASL", 1800, 1800), 0.85, OPTIONS)
    by_hand = 6000 * 0.9 * 0.01 * np.exp(1.8 / 1.65) / (2 * 0.85 * 1.65 * (1 - np.exp(-1.8 / 1.65)))
    assert values == pytest.approx(by_hand, rel=1e-4)
    assert values.mean() == pytest.approx(86.3, abs=0.2)


def test_cbf_of_pulsed_labelling_is_the_consensus_formula():
    """Alsop 2015, equation 3, for ΔM / M0 = 1 %, TI 1.8 s, TI1 0.8 s."""
    values = consensus_cbf(np.full((2, 2, 2), 0.01), _timing("PASL", 800, 1800), 0.98, OPTIONS)
    assert values == pytest.approx(6000 * 0.9 * 0.01 * np.exp(1.8 / 1.65) / (2 * 0.98 * 0.8), rel=1e-4)


def share_of_m0(cbf, arrival_s, times_s, duration_s, efficiency, *, pulsed):
    """ΔM / M0 as the convolution of delivery with residue and relaxation (Buxton 1998, equation 2), summed up."""
    flow, step = cbf / 6000, 1e-4
    made = []
    for now in times_s:
        at = np.arange(0, now, step) + step / 2
        arrives = (at >= arrival_s) & (at < arrival_s + duration_s)
        blood = np.exp(-(at if pulsed else arrival_s) / 1.65)
        remains = np.exp(-(flow / 0.9 + 1 / 1.33) * (now - at))
        made.append(2 * efficiency / 0.9 * flow * np.sum(arrives * blood * remains) * step)
    return np.array(made)


@pytest.mark.parametrize("cbf", [20.0, 60.0, 90.0])
@pytest.mark.parametrize("arrival_s", [0.4, 0.9, 1.3])
@pytest.mark.parametrize(("kind", "duration_s", "efficiency"), [("PCASL", 1.4, 0.85), ("PASL", 0.7, 0.98)])
def test_several_delays_give_the_known_cbf_and_arrival_time(kind, duration_s, efficiency, cbf, arrival_s):
    pulsed = kind == "PASL"
    delays_s = np.array([0.6, 0.9, 1.2, 1.5, 1.8, 2.2]) if pulsed else np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
    times_s = delays_s if pulsed else delays_s + duration_s
    found = share_of_m0(cbf, arrival_s, times_s, duration_s, efficiency, pulsed=pulsed)
    shares = {1000 * t: np.full((1, 1, 2), share) for t, share in zip(delays_s, found, strict=True)}
    values, arrivals_s = fitted_cbf(shares, _timing(kind, 1000 * duration_s), efficiency, OPTIONS)
    assert values == pytest.approx(cbf, rel=0.03)
    assert arrivals_s == pytest.approx(arrival_s, abs=0.04)


def test_slices_acquired_later_are_fitted_at_their_own_times():
    delays_s, slice_s = np.array([0.1, 0.5, 1.0, 1.5]), np.array([0.0, 0.2, 0.4])
    made = [[share_of_m0(60, 0.9, [d + s + 1.4], 1.4, 0.85, pulsed=False)[0] for s in slice_s] for d in delays_s]
    shares = {1000 * d: np.reshape(row, (3, 1, 1)) for d, row in zip(delays_s, made, strict=True)}
    values, _ = fitted_cbf(shares, _timing("PCASL", 1400, slice_ms=1000 * slice_s), 0.85, OPTIONS)
    assert values == pytest.approx(60, rel=0.03)


def test_no_flow_and_negative_differences_give_no_cbf():
    shares = {t: np.array([[[0.0, -0.01]]]) for t in (500.0, 1000.0, 1500.0)}
    values, _ = fitted_cbf(shares, _timing("PCASL", 1800), 0.85, OPTIONS)
    assert values.tolist() == [[[0, 0]]]
