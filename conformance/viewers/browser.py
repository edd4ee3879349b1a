"""A study in the archive → what a web viewer in headless Chromium shows of it. Only this module runs node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.viewers.archive import DICOMWEB_PLUGIN, Archive
from lnc_service.validate.main import find_program

HERE = Path(__file__).resolve().parent
_LIMIT_S = 1800
_GRACE_S = 30


def missing(viewer: str = "ohif") -> str | None:
    """Name what the check in a browser needs but is not installed; None if nothing is missing."""
    needed = {
        "node": find_node() is not None,
        "chromium": _chromium() is not None,
        "Orthanc": find_program("Orthanc") is not None,
        "orthanc-dicomweb": DICOMWEB_PLUGIN.is_file(),
        "npm packages": (HERE / "node_modules" / "playwright-core").is_dir(),
        viewer: (HERE / "viewers" / viewer / ".installed").is_file(),
    }
    absent = [name for name, there in needed.items() if not there]
    return f"{', '.join(absent)} not installed (make viewers)" if absent else None


def find_node() -> str | None:
    """Give the path of node: first the one beside the interpreter, where `make viewers` installs a newer one."""
    beside = Path(sys.executable).parent / "node"
    return str(beside) if beside.is_file() else find_program("node")


def _chromium() -> str | None:
    return os.environ.get("CHROMIUM") or find_program("chromium")


def open_study(
    archive: Archive,
    study_uid: str,
    out: Path,
    *,
    viewer: str = "ohif",
    kinds: Sequence[str] = ("SEG", "SR", "PM", "SC", "PDF"),
    series: Sequence[str] = (),
) -> dict[str, Any]:
    """Open a study and every result in it; give the content of view.json. Screenshots are written to `out`.

    What a viewer does not show is in the report; what keeps the viewer from being driven is a RuntimeError.
    """
    command = [str(find_node()), str(HERE / "view.mjs"), study_uid, archive.url, str(out)]
    command += ["--viewer", viewer, "--kinds", ",".join(kinds), "--need", ",".join(kinds)]
    command += ["--chromium", str(_chromium()), "--timeout", str(_LIMIT_S)]
    if series:
        command += ["--series", ",".join(series)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S + _GRACE_S)
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{viewer} could not be driven: {done.stderr.strip()[-400:]}")
    report: dict[str, Any] = json.loads((out / "view.json").read_text())
    return report
