"""Do the tests notice? Put one fault after another into a copy of the code and run the tests that should see it.

    python benchmarks/mutations.py                 # every fault of mutations.toml; prints which were noticed
    python benchmarks/mutations.py --draw 60       # draw faults at random and write mutations.toml anew
    python benchmarks/mutations.py --only maps/    # some of them

The checkout itself is never changed. A fault is "killed" when a test fails; the tests of all faults together must run
in under a minute, so that nobody leaves them out.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_name("mutations.toml")
PLACES = {
    "select": (
        *("lnc_dicom/study/select_t1.py", "lnc_dicom/study/t1_weighting.py", "lnc_dicom/study/contrast_agent.py"),
        *("lnc_dicom/study/body_region.py", "lnc_dicom/study/select_maps.py", "lnc_dicom/study/attributes.py"),
    ),
    "geometry": ("lnc_dicom/study/load.py", "lnc_dicom/geometry/*.py", "lnc_dicom/measure/*.py"),
    "maps": ("lnc_dicom/maps/*.py",),
    "encode": ("lnc_dicom/study/priors.py", "lnc_dicom/encode/*.py", "lnc_dicom/encode/s*/*.py"),
    "workflow": ("service/workflow.py", "service/deliver.py", "service/spool.py", "service/jobs.py"),
}
"""Where faults are put: the same number in each group."""
LIMIT_S = 300.0
"""A fault may make a test run for ever."""

_COMPARE = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "==", "In": "not in", "NotIn": "in"}
_COMPARE |= {"Is": "is not", "IsNot": "is"}
_ARITHMETIC = {"Add": "-", "Sub": "+", "Mult": "/", "Div": "*"}
_NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor", "first": "last"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One place in one file: `old` on `line` becomes `new`."""

    file: str
    line: int
    column: int
    old: str
    new: str


def faults_of(path: Path) -> Iterator[Fault]:
    """Give every fault that the rules can put into a file; each replaces one expression on one line."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    name = str(path.relative_to(ROOT))
    tree = ast.parse(source)
    decorators = {n for d in ast.walk(tree) for deco in getattr(d, "decorator_list", ()) for n in ast.walk(deco)}
    for node in ast.walk(tree):
        if node in decorators or not isinstance(node, ast.expr) or node.lineno != node.end_lineno:
            continue
        new = _changed(node)
        old = lines[node.lineno - 1].encode()[node.col_offset : node.end_col_offset].decode()
        if new is not None and new != old and "f'" not in old and 'f"' not in old:
            yield Fault(name, node.lineno, node.col_offset, old, new)


def _changed(node: ast.expr) -> str | None:
    """Write a node with one thing wrong; None where no rule applies."""
    match node:
        case ast.Compare() | ast.BinOp() | ast.BoolOp() | ast.UnaryOp():
            return _other_operator(node)
        case ast.Attribute(value, "T"):
            return ast.unparse(value)
        case ast.Name(name) if name in _NAMES and isinstance(node.ctx, ast.Load):
            return _NAMES[name]
        case ast.Constant(bool(value)):
            return str(not value)
        case ast.Constant(int(value) | float(value)):
            return repr(value + 1)
    return None


def _other_operator(node: ast.expr) -> str | None:
    match node:
        case ast.Compare(left, [operator], [right]) if type(operator).__name__ in _COMPARE:
            return f"({ast.unparse(left)} {_COMPARE[type(operator).__name__]} {ast.unparse(right)})"
        case ast.BinOp(left, operator, right) if type(operator).__name__ in _ARITHMETIC and not _is_text(node):
            return f"(({ast.unparse(left)}) {_ARITHMETIC[type(operator).__name__]} ({ast.unparse(right)}))"
        case ast.BoolOp(operator, values):
            word = " or " if isinstance(operator, ast.And) else " and "
            return "(" + word.join(f"({ast.unparse(v)})" for v in values) + ")"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return f"({ast.unparse(operand)})"
    return None


def _is_text(node: ast.BinOp) -> bool:
    return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in (node.left, node.right))


def draw(count: int, seed: int) -> list[Fault]:
    """Draw faults: the same number in every group, spread over its files."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    drawn: list[Fault] = []
    for patterns in PLACES.values():
        paths = sorted({p for pattern in patterns for p in ROOT.glob(pattern) if p.name != "__init__.py"})
        by_file = {path: list(faults_of(path)) for path in paths}
        for faults in by_file.values():
            chance.shuffle(faults)
        left = round(count / len(PLACES))
        while left and any(by_file.values()):
            path = chance.choice([p for p in paths if by_file[p]])
            drawn.append(by_file[path].pop())
            left -= 1
    return sorted(drawn, key=lambda f: (f.file, f.line, f.column))


def write_table(faults: list[Fault]) -> None:
    """Write the list: the line is kept as text, so that it is found again when the file has grown."""
    rows = ["# Faults that the tests must notice: benchmarks/mutations.py puts each in and takes it out again.", ""]
    for fault in faults:
        text = (ROOT / fault.file).read_text(encoding="utf-8").splitlines()[fault.line - 1]
        rows += ["[[fault]]", f"file = {_quoted(fault.file)}", f"line = {_quoted(text.strip())}"]
        wrong = text.encode()[: fault.column].decode() + fault.new
        wrong += text.encode()[fault.column + len(fault.old.encode()) :].decode()
        rows += [f"wrong = {_quoted(wrong.strip())}", ""]
    TABLE.write_text("\n".join(rows), encoding="utf-8")


def _quoted(text: str) -> str:
    return "'" + text + "'" if "'" not in text else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_of(file: str) -> str:
    """Name the test that mirrors a module."""
    path = Path(file)
    return str(Path("tests/unit") / path.parent / f"test_{path.name}")


def copy_of_tree(folder: Path) -> Path:
    """Copy code and tests; the package of the folder `service` is called lnc_service."""
    for name in ("lnc_dicom", "service", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "conformance", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "packages").mkdir()
    (folder / "packages" / "lnc_service").symlink_to(folder / "service")
    return folder


def fails(folder: Path, tests: list[str]) -> bool:
    """Whether a test fails, or does not come to an end."""
    path = os.pathsep.join([str(folder), str(folder / "packages")])
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        *tests,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    if done.returncode not in {0, 1}:  # neither passed nor failed: the tests did not run
        raise SystemExit(done.stdout.decode()[-2000:])
    return done.returncode == 1


def put_in(folder: Path, fault: dict[str, str]) -> str:
    """Write the wrong line; give the right text of the file."""
    path = folder / fault["file"]
    right = path.read_text(encoding="utf-8")
    lines = right.splitlines(keepends=True)
    at = [i for i, line in enumerate(lines) if line.strip() == fault["line"]]
    if not at:
        raise SystemExit(f"{fault['file']} has no line «{fault['line']}»: draw it again")
    lines[at[0]] = lines[at[0]].replace(fault["line"], fault["wrong"])
    path.write_text("".join(lines), encoding="utf-8")
    return right


def main() -> None:
    """Run from the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args()
    if chosen.draw:
        write_table(draw(chosen.draw, chosen.seed))
        return
    faults = [f for f in tomllib.loads(TABLE.read_text(encoding="utf-8"))["fault"] if chosen.only in f["file"]]
    tests = sorted({t for f in faults for t in f.get("tests", [test_of(f["file"])])})
    with tempfile.TemporaryDirectory() as name:
        folder = copy_of_tree(Path(name))
        started = time.perf_counter()
        if fails(folder, tests):
            raise SystemExit("the tests fail without a fault")
        print(f"{len(tests)} test files run in {time.perf_counter() - started:.0f} s together")
        killed = 0
        for fault in faults:
            right = put_in(folder, fault)
            noticed = fails(folder, fault.get("tests", [test_of(fault["file"])]))
            (folder / fault["file"]).write_text(right, encoding="utf-8")
            killed += noticed
            print("killed  " if noticed else "SURVIVED", fault["file"], "|", fault["wrong"], flush=True)
    print(f"{killed} of {len(faults)} killed ({100 * killed / len(faults):.0f} %)")


if __name__ == "__main__":
    main()
