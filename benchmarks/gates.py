"""The number of every gate on heads, on perturbed heads, and on things that are no T1 heads.

Run `python benchmarks/gates.py DATA [MODEL]`; DATA is the folder with the real heads and the label maps. The limits in
`lnc_dicom/measure/gates.py` were chosen from its tables.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import highdicom as hd
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_dicom.anatomy import MAIN_NUCLEI, STRUCTURES  # noqa: E402
from lnc_dicom.cli.console import quieten_libraries  # noqa: E402
from lnc_dicom.errors import StudyRejected  # noqa: E402
from lnc_dicom.measure.gates import GATES, check_study  # noqa: E402
from lnc_dicom.measure.volumetry import measure  # noqa: E402
from lnc_dicom.report import refuse  # noqa: E402
from lnc_dicom.segment.evaluate.metrics import read_pair  # noqa: E402
from lnc_dicom.segment.evaluate.perturbations import PERTURBATIONS  # noqa: E402
from lnc_dicom.segment.evaluate.robustness import describe  # noqa: E402
from lnc_dicom.segment.load import WEIGHTS, load_segmenter  # noqa: E402
from lnc_dicom.segment.synthesis.label_maps import load_label_map, load_palette  # noqa: E402
from lnc_dicom.segment.synthesis.rng import Rng  # noqa: E402
from lnc_dicom.segment.synthesis.synthesise import synthesise  # noqa: E402
from lnc_dicom.segment.train.calibrate import SEED, WHOLE_HEAD  # noqa: E402
from lnc_dicom.study.load import load  # noqa: E402
from lnc_dicom.study.nifti import read_nifti  # noqa: E402
from lnc_dicom.study.read import read_study  # noqa: E402
from lnc_dicom.study.select_t1 import select  # noqa: E402
from lnc_dicom.tools import Segmenter  # noqa: E402
from lnc_dicom.types import Measurement  # noqa: E402
from lnc_service.demo.sample import icbm152  # noqa: E402
from tests.odd_images import no_t1_heads, volume  # noqa: E402

HELD_OUT = ("training_seg_03", "training_seg_08", "training_seg_11", "training_seg_17")
SYNTHETIC_IMAGES = 24
MAIN = [s.label for s in STRUCTURES if s.name in MAIN_NUCLEI]


def heads(data: Path) -> Iterator[tuple[str, hd.Volume]]:
    for name in ("philips-ingenia-3t/t1", "siemens-prisma-3t", "siemens-xa30-enhanced"):
        yield name, load(select(read_study([data / name])).chosen)[0]
    yield "labelled", read_nifti(data / "labelled" / "t1.nii.gz")
    yield "template", volume(*icbm152())


def perturbed_heads(data: Path) -> Iterator[tuple[str, hd.Volume]]:
    head = describe(*read_pair(data / "labelled" / "t1.nii.gz", data / "labelled" / "aparc+aseg.nii.gz"))
    for e in PERTURBATIONS:
        if e.name not in {"test-retest", "position", "grid"}:
            yield f"{e.name}, {e.setting}", e.apply(head)[0]


def synthetic_heads(data: Path) -> Iterator[tuple[str, hd.Volume]]:
    palette = load_palette(data / "label-maps")
    maps = [load_label_map(data / "label-maps" / f"{name}.nii.gz", palette) for name in HELD_OUT]
    for i in range(SYNTHETIC_IMAGES):
        image, _ = synthesise(maps[i % len(maps)], palette, WHOLE_HEAD, Rng(SEED + 1000 + i))
        yield f"synthetic {i + 1}", volume(image[0].numpy(), np.eye(4))


def judge(segmenter: Segmenter, image: hd.Volume) -> tuple[dict[str, float], str]:
    """Give the number of every gate (the worst of the main nuclei), and the verdict."""
    try:
        segmented = segmenter(image)
    except StudyRejected as error:
        return {}, f"{error.code} before labelling"
    checks, measurements = check_study(image, segmented), measure(segmented)
    numbers = {check.code: check.value for check in checks}
    for gate in GATES[len(checks) :]:
        values = [c.value for m in measurements for c in m.checks if c.code == gate.code and m.structure.label in MAIN]
        known = [v for v in values if not math.isnan(v)]
        if known:
            numbers[gate.code] = max(known, key=abs) if gate.low <= 0 else min(known)
    try:
        refuse(checks, measurements, brain_is_cut=segmented.brain_is_cut)
    except StudyRejected as error:
        return numbers, error.code
    return numbers, _failed(measurements)


def _failed(measurements: tuple[Measurement, ...]) -> str:
    failed = [f"{m.structure.title} {m.failure.code}" for m in measurements if m.failure]
    return f"accepted; failed: {', '.join(failed)}" if failed else "accepted"


def main() -> None:
    quieten_libraries()
    data = Path(sys.argv[1])
    segmenter = load_segmenter(Path(sys.argv[2]) if len(sys.argv) > 2 else WEIGHTS)
    codes = [gate.code for gate in GATES if gate.name != "volume in mL"]
    for title, images in (
        ("Heads", heads(data)),
        ("Heads synthesised from held-out label maps", synthetic_heads(data)),
        ("The labelled head, perturbed", perturbed_heads(data)),
        ("No T1 heads", no_t1_heads(data)),
    ):
        print(f"\n## {title}\n\n| | {' | '.join(c[-3:] for c in codes)} | verdict |\n|{'---|' * (len(codes) + 2)}")
        for name, image in images:
            numbers, verdict = judge(segmenter, image)
            cells = [f"{numbers[c]:.3g}" if c in numbers else "" for c in codes]
            print(f"| {name} | {' | '.join(cells)} | {verdict} |", flush=True)


if __name__ == "__main__":
    main()
