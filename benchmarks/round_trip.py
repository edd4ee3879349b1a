"""Last image received to results stored in Orthanc, beyond the quiet time: median of five.

python benchmarks/round_trip.py STUDY_FOLDER      (needs DCMTK and Orthanc: make peers)
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lnc_service.validate.main import find_program  # noqa: E402
from tests.acceptance.conftest import RESULTS, Orthanc, Service, wait_for  # noqa: E402

RUNS, QUIET_S = 5, 1.5


def run_once(study: Path) -> float:
    """Seconds from the end of sending to the last object in Orthanc, without the quiet time."""
    with tempfile.TemporaryDirectory() as folder:
        orthanc = Orthanc(find_program("Orthanc"), Path(folder) / "orthanc")
        service = Service(Path(folder), orthanc.dicom_port)
        try:
            orthanc.start()
            service.start()
            service.send(find_program("storescu"), study)
            sent = time.monotonic()
            wait_for(lambda: len(orthanc.get("/instances")) == RESULTS, 120)
            return time.monotonic() - sent - QUIET_S
        finally:
            service.stop()
            orthanc.stop()


def main() -> None:
    seconds = [run_once(Path(sys.argv[1])) for _ in range(RUNS)]
    print(f"median {statistics.median(seconds):.1f} s, fastest {min(seconds):.1f} s, slowest {max(seconds):.1f} s")


if __name__ == "__main__":
    main()
