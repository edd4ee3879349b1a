"""Control minus label, M0 and the timing of the labelling → CBF.

One delay: the single-compartment model of the consensus paper (Alsop et al., Magn Reson Med 2015; 73:102, equations 1
and 3). Several delays: the general kinetic model (Buxton et al., Magn Reson Med 1998; 40:383), of which CBF and arrival
time are fitted in every voxel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lnc_dicom.maps.asl_timing import Timing
from lnc_dicom.options import PerfusionOptions

Array = npt.NDArray[np.float64]

MAX_ARRIVAL_S = 3.0
"""Blood arrives later nowhere in a brain that is measured."""
TYPICAL_CBF = 50.0
"""ml/100 g/min, of grey matter: stands for CBF in the relaxation rate of tissue, of which it is 1 %."""
_COARSE_S, _FINE_S = 0.1, 0.01


def consensus_cbf(
    share: npt.NDArray[np.float64], timing: Timing, efficiency: float, options: PerfusionOptions
) -> npt.NDArray[np.float64]:
    """Compute CBF in ml/100 g/min from the share of M0 by which control and label differ, one delay.

    Continuous labelling: 6000 λ ΔM exp(PLD / T1b) / (2 α T1b M0 (1 - exp(-LD / T1b))).
    Pulsed labelling: 6000 λ ΔM exp(TI / T1b) / (2 α TI1 M0). Times in s.
    """
    blood_s = options.blood_t1_ms / 1000
    delay_s = timing.delay_ms / 1000
    if timing.is_pulsed:
        bolus_s = timing.duration_ms / 1000
    else:
        bolus_s = blood_s * (1 - np.exp(-timing.duration_ms / options.blood_t1_ms))
    scale = 6000 * options.partition_coefficient * np.exp(delay_s / blood_s) / (2 * efficiency * bolus_s)
    return np.asarray(scale * share)


def fitted_cbf(
    shares: Mapping[float, Array], timing: Timing, efficiency: float, options: PerfusionOptions
) -> tuple[Array, Array]:
    """Fit CBF in ml/100 g/min and arrival time in s to the shares of M0 by which control and label differ.

    shares
        By delay in ms (pulsed: inversion time), arrays of one shape.

    With a typical flow in the relaxation rate of tissue the model is linear in CBF. So arrival times are tried, 0.1 s
    apart and then 0.01 s apart around the best, and for each the least squares over CBF are solved.
    """
    measured = np.stack([shares[delay] for delay in sorted(shares)])
    times_s = np.stack([np.asarray((delay + timing.slice_ms) / 1000) for delay in sorted(shares)])
    if not timing.is_pulsed:
        times_s = times_s + timing.duration_ms / 1000

    def tried(arrival_s: Array) -> tuple[Array, Array]:
        model = _response(times_s, arrival_s, timing, options) * 2 * efficiency / options.partition_coefficient
        energy = (model**2).sum(axis=0)
        flow = np.where(energy > 0, (model * measured).sum(axis=0) / np.where(energy > 0, energy, 1), 0)
        return np.maximum(flow, 0), ((measured - np.maximum(flow, 0) * model) ** 2).sum(axis=0)

    best = np.zeros(measured.shape[1:])
    for steps in (np.arange(0, MAX_ARRIVAL_S, _COARSE_S), np.arange(-_COARSE_S, _COARSE_S + _FINE_S, _FINE_S)):
        around, best = best, best.copy()
        least = np.full(best.shape, np.inf)
        for step in steps:
            arrival_s = np.clip(around + step, 0, MAX_ARRIVAL_S)
            misfit = tried(arrival_s)[1]
            best = np.where(misfit < least, arrival_s, best)
            least = np.minimum(misfit, least)
    return 6000 * tried(best)[0], best


def _response(times_s: Array, arrival_s: Array, timing: Timing, options: PerfusionOptions) -> Array:
    """Give ΔM / (2 α M0b f), in s: Buxton 1998, equations 3 (pulsed) and 5 (continuous)."""
    duration_s = timing.duration_ms / 1000
    outflow = TYPICAL_CBF / 6000 / options.partition_coefficient
    blood, tissue = 1000 / options.blood_t1_ms, 1000 / options.tissue_t1_ms + outflow
    since = np.clip(times_s - arrival_s, 0, None)
    during = np.minimum(since, duration_s)
    if timing.is_pulsed:
        k = (blood - tissue) or 1e-9
        return np.asarray(np.exp(-blood * times_s + k * since) * (1 - np.exp(-k * during)) / k)
    decay = np.exp(-blood * arrival_s - tissue * (since - during))
    return np.asarray(decay * (1 - np.exp(-tissue * during)) / tissue)
