"""Mean probability of the labels on heads and on things that are no heads.

Run `python benchmarks/sureness.py HEAD…`; a head is a folder with one study or a NIfTI file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import highdicom as hd
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.anatomy import MAIN_NUCLEI, STRUCTURES  # noqa: E402
from lnc_dicom.console import quieten_libraries  # noqa: E402
from lnc_dicom.errors import StudyRejected  # noqa: E402
from lnc_dicom.read import read_study  # noqa: E402
from lnc_dicom.segment.evaluation import read_nifti  # noqa: E402
from lnc_dicom.segment.model import load_segmenter  # noqa: E402
from lnc_dicom.select import select  # noqa: E402
from lnc_dicom.volume import load  # noqa: E402
from service.sample import icbm152  # noqa: E402
from tests.factories import phantom  # noqa: E402


def no_heads() -> dict[str, hd.Volume]:
    """Make a bottle, a ball, a box of balls, and noise."""
    chance = np.random.default_rng(0)
    z = np.linspace(-1, 1, 100)
    x, y, w = np.meshgrid(z, z, z, indexing="ij")
    grain = 0.02 * np.abs(chance.normal(size=x.shape))
    box = ((np.abs(x) < 0.6) & (np.abs(y) < 0.6) & (np.abs(w) < 0.6)).astype(float)
    for _ in range(40):
        a, b, c = chance.uniform(-0.5, 0.5, 3)
        box[(x - a) ** 2 + (y - b) ** 2 + (w - c) ** 2 < 0.01] = chance.uniform(0.2, 1.5)
    arrays = {
        "bottle": phantom()[0],
        "ball": (x**2 + y**2 + w**2 < 0.5) + grain,
        "box of balls": box + grain,
        "noise": np.abs(chance.normal(size=x.shape)),
    }
    return {name: _volume(array, np.diag([1.9, 1.9, 1.9, 1.0])) for name, array in arrays.items()}


def _volume(array: np.ndarray, lps_mm: np.ndarray) -> hd.Volume:
    return hd.Volume(array.astype(np.float32), lps_mm, coordinate_system="PATIENT")


def _head(path: Path) -> hd.Volume:
    return read_nifti(path) if path.is_file() else load(select(read_study([path])).chosen)[0]


def main() -> None:
    quieten_libraries()
    segmenter = load_segmenter()
    volumes = {"/".join(path.resolve().parts[-2:]): _head(path) for path in map(Path, sys.argv[1:])}
    volumes |= {"template": _volume(*icbm152())} | no_heads()
    print("| | main nuclei, lowest | highest | accumbens, lowest |\n|---|---|---|---|")
    for name, volume in volumes.items():
        try:
            found = segmenter(volume).probability
        except StudyRejected as error:
            print(f"| {name} | {error.code} before labelling | | |")
            continue
        main = [found.get(s.label, 0.0) for s in STRUCTURES if s.name in MAIN_NUCLEI]
        small = [found.get(s.label, 0.0) for s in STRUCTURES if s.name == "accumbens"]
        print(f"| {name} | {min(main):.2f} | {max(main):.2f} | {min(small):.2f} |")


if __name__ == "__main__":
    main()
