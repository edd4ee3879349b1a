"""Time and memory of `lnc process` on a study: stage, median of five runs, peak memory.

python benchmarks/process.py STUDY_FOLDER
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 5
_RUN = "import resource, sys; from lnc_dicom.cli.console import quieten_libraries; from lnc_service.cli import app\n"
_RUN += (
    "try:\n    app()\nfinally:\n    print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
)


def run_once(study: str) -> tuple[dict[str, float], float]:
    """Seconds per stage and peak memory in GB."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-c", _RUN, "process", study, "--out", out]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = json.loads((Path(out) / "result.json").read_text())["timings_s"]
    peak_kb = int(done.stderr.rsplit("PEAK", 1)[1])
    return seconds, peak_kb / 1e6


def main() -> None:
    runs = [run_once(sys.argv[1]) for _ in range(RUNS)]
    print(f"| stage | median of {RUNS}, s | fastest | slowest |\n|---|---|---|---|")
    for stage in runs[0][0]:
        values = [seconds[stage] for seconds, _ in runs]
        print(f"| {stage} | {statistics.median(values):.2f} | {min(values):.2f} | {max(values):.2f} |")
    print(f"\nPeak memory {max(peak for _, peak in runs):.2f} GB.")


if __name__ == "__main__":
    main()
