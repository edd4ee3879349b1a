"""FA and CBF of the real studies, their times, and their agreement with what the scanners made.

python benchmarks/maps.py DATA
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import highdicom as hd
import numpy as np
from dipy.segment.mask import median_otsu

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.cli.console import quieten_libraries  # noqa: E402
from lnc_dicom.geometry.resampling import resample_cubic  # noqa: E402
from lnc_dicom.maps.alignment import align  # noqa: E402
from lnc_dicom.maps.cbf import cbf_map, read_labelling  # noqa: E402
from lnc_dicom.maps.fa import fa_map  # noqa: E402
from lnc_dicom.maps.regional import measure_map  # noqa: E402
from lnc_dicom.maps.vendor_map import load_map  # noqa: E402
from lnc_dicom.measure.volumetry import usable_labels  # noqa: E402
from lnc_dicom.options import DiffusionOptions, MapsOptions, PerfusionOptions  # noqa: E402
from lnc_dicom.pipeline import analyse  # noqa: E402
from lnc_dicom.quantities import Quantity  # noqa: E402
from lnc_dicom.report import Report  # noqa: E402
from lnc_dicom.segment.load import load_segmenter  # noqa: E402
from lnc_dicom.study.read import read_study  # noqa: E402
from lnc_dicom.tools import Tools  # noqa: E402
from lnc_dicom.types import Role  # noqa: E402


def measured(folder: Path, tools: Tools) -> Report:
    report = analyse(read_study([folder]), tools)
    quantities = [q for q in Quantity if any(q in m.statistics for m in report.measurements)]
    print(
        f"\n## {folder.name}\n\n| structure | {' | '.join(f'{q.value} left | {q.value} right' for q in quantities)} |"
    )
    print(f"|{'---|' * (1 + 2 * len(quantities))}")
    for left, right in zip(report.measurements[::2], report.measurements[1::2], strict=True):
        cells = [m.statistics.get(q) for q in quantities for m in (left, right)]
        texts = [f"{s.mean:.3g} ± {s.sd:.2g} ({s.n})" if s else "" for s in cells]
        print(f"| {left.structure.name} | {' | '.join(texts)} |")
    for found in report.maps:
        print(f"\n{found.map.quantity.value}: {found.map.method}; " + ", ".join(str(check) for check in found.checks))
    for caveat in report.caveats:
        print(f"{caveat.code} {caveat.text}")
    return report


def agree(ours: np.ndarray, theirs: np.ndarray, inside: np.ndarray) -> str:
    """Correlation, mean difference, and mean size of the difference, in the voxels inside."""
    inside = inside & np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[inside], theirs[inside]
    difference = a - b
    return (
        f"r = {np.corrcoef(a, b)[0, 1]:.3f}, mean difference {difference.mean():+.4f}, "
        f"mean size {np.abs(difference).mean():.4f}, {inside.sum()} voxels, ours / theirs {a.mean() / b.mean():.3g}"
    )


def on_grid(volume: hd.Volume, grid: hd.Volume) -> np.ndarray:
    return resample_cubic(volume.with_array(np.nan_to_num(np.asarray(volume.array, np.float32))), np.eye(4), grid)


def compare_fa(report: Report) -> None:
    """Our tensor against the scanner's map of the same images, with and without correction of motion."""
    scanner = next(m for m in report.maps if m.map.quantity is Quantity.FA)
    series = report.selection.map_series[Role.FA_REGISTRATION]
    usable = usable_labels(report.measurements)
    for correct in (False, True):
        ours = fa_map({Role.DIFFUSION: series}, DiffusionOptions(correct_motion=correct))
        assert ours is not None  # noqa: S101
        theirs = on_grid(scanner.map.values, ours.values)
        _, bright = median_otsu(ours.registration_image.array, median_radius=2, numpass=2)
        for name, inside in (("brain and scalp", theirs > 0), ("brain where b = 0 is bright", bright & (theirs > 0))):
            print(f"\nFA, motion corrected: {correct}, {name}: {agree(ours.values.array, theirs, inside)}")
        own = measure_map(align(ours, report.volume, report.segmented), report.segmented, usable, MapsOptions())
        for m in report.measurements:
            one, other = own.statistics.get(m.structure.label), scanner.statistics.get(m.structure.label)
            if one and other:
                print(f"| {m.structure.title} | {one.mean:.3f} | {other.mean:.3f} | {one.mean - other.mean:+.3f} |")


def compare_cbf(report: Report, folder: Path) -> None:
    """Our CBF and our control minus label against a map of the scanner's."""
    scanner = load_map(read_study([folder]).series[0])
    series = report.selection.map_series[Role.LABELLING]
    ours = cbf_map({Role.LABELLING: series}, PerfusionOptions())
    assert ours is not None  # noqa: S101
    labelling = read_labelling(series, None, None)
    theirs = on_grid(scanner.volume, labelling.m0)
    inside = labelling.m0.array > 0.3 * np.percentile(labelling.m0.array, 99)
    print(f"\n{folder.name}: control - label: {agree(labelling.difference, theirs, inside)}")
    print(f"{folder.name}: CBF: {agree(ours.values.array, theirs, inside)}")


def main() -> None:
    quieten_libraries()
    data = Path(sys.argv[1])
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - start

    tools = Tools(load_segmenter(), datetime.now(UTC), stage)
    philips = measured(data / "philips-ingenia-3t", tools)
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    compare_cbf(philips, data / "philips-ingenia-3t" / "pcasl")
    siemens = measured(data / "siemens-xa30-enhanced", tools)
    print("seconds: " + ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    compare_fa(siemens)
    for name in ("27_asl_2d_tra", "28_asl_2d_tra"):
        compare_cbf(siemens, data / "siemens-xa30-enhanced" / name)


if __name__ == "__main__":
    main()
