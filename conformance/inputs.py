"""Tests → the tables of docs/reference/inputs.md: what is read of which scanner. `make statement` runs it.

A test that shows that something is read has the marker `accepts(scanner, what, images, input)`; what is right of odd
studies stands in tests/acceptance/test_odd_studies.py.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from conformance.generate import replace_tables, table  # noqa: E402 - the checkout first

PAGE = ROOT / "docs" / "reference" / "inputs.md"


def accepted() -> str:
    """List scanner, kind, images, input and test of every marker."""
    rows = sorted(row for path in sorted((ROOT / "tests").rglob("test_*.py")) for row in _markers(path))
    return table(("scanner", "for", "images", "input", "test"), rows)


def _markers(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.accepts":
                    yield (*(ast.literal_eval(a) for a in call.args), f"`{path.name}::{node.name}`")


def odd_studies() -> str:
    """List every odd study and what comes of it."""
    from tests.acceptance.test_odd_studies import RIGHT  # noqa: PLC0415 - pytest, which only this table needs

    rows = ((name.replace("-", " "), expectation.words) for name, expectation in RIGHT.items())
    return table(("study", "what comes of it"), rows)


TABLES = {"accepted": accepted, "odd studies": odd_studies}


def render(text: str) -> str:
    """Give the page with its tables made anew."""
    return replace_tables(text, TABLES)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
