"""What the gates of the alignment see of right and wrong maps on real heads; the limits were chosen from its table.

python benchmarks/alignment.py DATA
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.cli.console import quieten_libraries  # noqa: E402
from lnc_dicom.geometry.registration import register  # noqa: E402
from lnc_dicom.maps.alignment import SAMPLING, SMOOTHING_MM, middle_of_head, structure_points  # noqa: E402
from lnc_dicom.maps.cbf import read_labelling  # noqa: E402
from lnc_dicom.maps.vendor_map import load_map  # noqa: E402
from lnc_dicom.segment.load import load_segmenter  # noqa: E402
from lnc_dicom.study.dcm2niix import convert  # noqa: E402
from lnc_dicom.study.load import load  # noqa: E402
from lnc_dicom.study.read import read_study  # noqa: E402
from lnc_dicom.study.select_t1 import select  # noqa: E402
from lnc_dicom.types import Role  # noqa: E402

STUDIES = ("philips-ingenia-3t", "siemens-xa30-enhanced", "siemens-prisma-3t")


def moved(volume: hd.Volume, lps_mm: np.ndarray) -> hd.Volume:
    return hd.Volume(volume.array, lps_mm @ volume.affine, "PATIENT")


def wrong(volume: hd.Volume, centre_mm: np.ndarray) -> Iterator[tuple[str, hd.Volume]]:
    """Give the image as it is, and with its header or its voxels put wrong."""
    yield "right", volume
    for name, shift_mm in (("40 mm to the left", (40, 0, 0)), ("40 mm up", (0, 0, 40)), ("10 mm back", (0, 10, 0))):
        matrix = np.eye(4)
        matrix[:3, 3] = shift_mm
        yield name, moved(volume, matrix)
    for degrees in (8, 25, 90):
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        matrix[:3, 3] = centre_mm - matrix[:3, :3] @ centre_mm
        yield f"turned by {degrees} degrees", moved(volume, matrix)
    for axis, name in ((2, "upside down"), (1, "front to back"), (0, "left to right")):
        matrix = np.eye(4)
        matrix[axis, axis], matrix[axis, 3] = -1, 2 * centre_mm[axis]
        yield name, moved(volume, matrix)
    chance = np.random.default_rng(1)
    noise = chance.normal(0, 0.2 * np.percentile(volume.array, 95), volume.shape)
    yield "noise of 20 % added", volume.with_array((volume.array + noise).astype(np.float32))
    yield "noise alone", volume.with_array(chance.random(volume.shape).astype(np.float32))


def registration_images(data: Path, name: str) -> Iterator[tuple[str, hd.Volume]]:
    """B = 0, M0, and maps that are their own registration image."""
    series = select(read_study([data / name])).map_series
    for role in (Role.DIFFUSION, Role.FA_REGISTRATION):
        if role in series:
            converted = convert(series[role])
            yield "b = 0", converted.volume(converted.array[..., 0])
    if Role.LABELLING in series:
        yield "M0", read_labelling(series[Role.LABELLING], None, None).m0
    for role in (Role.FA_MAP, Role.RELATIVE_CBF_MAP):
        if role in series:
            yield role.value, load_map(series[role]).volume


def main() -> None:
    quieten_libraries()
    data = Path(sys.argv[1])
    segmenter = load_segmenter()
    images = {name: list(registration_images(data, name)) for name in STUDIES}
    print("| T1 | registration image | | information | turn, degrees | shift, mm |\n|---|---|---|---|---|---|")
    for name in STUDIES:
        volume, _ = load(select(read_study([data / name])).chosen)
        points = structure_points(segmenter(volume))
        fixed = middle_of_head(volume, points.mean(axis=0))
        for other, found in images.items():
            for kind, image in found:
                cases = wrong(image, points.mean(axis=0)) if other == name else [(f"head of {other}", image)]
                for case, spoilt in cases:
                    m = register(fixed, spoilt, SMOOTHING_MM, sampling=SAMPLING)
                    numbers = f"{m.information:.3f} | {m.turn_deg:.1f} | {m.shift_mm(points):.1f}"
                    print(f"| {name} | {kind} | {case} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
