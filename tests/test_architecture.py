"""Who may import whom, and how large things may grow."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*ROOT.glob("lnc_dicom/**/*.py"), *ROOT.glob("service/**/*.py")])

MOST_AT_THE_TOP = 18
SERVICE_PACKAGES = ("lnc_service", "lnc_service.receiver", "lnc_service.demo", "lnc_service.validate")
SERVICE_PACKAGES += ("lnc_service.rules", "lnc_service.installation", "lnc_service.commitment", "lnc_service.query")

# Upstream first: a module imports only from lines above its own (or from its own line).
ORDER = [
    ["lnc_dicom.errors", "lnc_dicom.uids", "lnc_dicom.outputs", "lnc_dicom.autocast", "lnc_dicom.conformal"],
    ["lnc_dicom.anatomy", "lnc_dicom.options"],
    ["lnc_dicom.predictions"],
    ["lnc_dicom.codes", "lnc_dicom.provenance", "lnc_dicom.weights_file"],
    ["lnc_dicom.quantities"],
    ["lnc_dicom.types"],
    ["lnc_dicom.tools"],
    ["lnc_dicom.geometry"],
    ["lnc_dicom.study"],
    ["lnc_dicom.segment"],
    ["lnc_dicom.measure.gates"],
    ["lnc_dicom.maps"],
    ["lnc_dicom.measure"],
    ["lnc_dicom.report"],
    ["lnc_dicom.cohort_table"],
    ["lnc_dicom.simulate"],
    ["lnc_dicom.biomarker"],
    ["lnc_dicom.validate"],
    ["lnc_dicom.encode"],
    ["lnc_dicom.pipeline", "lnc_dicom.result_json"],
    ["lnc_dicom.research"],
    ["lnc_dicom.cli"],
    [
        "lnc_service.alternatives",
        "lnc_service.settings",
        "lnc_service.installation.questions",
        "lnc_service.logs",
        "lnc_service.parent",
        "lnc_service.states",
        "lnc_service.receiver.disk",
        "lnc_service.receiver.study_uid",
    ],
    ["lnc_service.arriving", "lnc_service.receiver.tls", "lnc_service.child", "lnc_service.presence"],
    ["lnc_service.associate"],
    ["lnc_service.spool", "lnc_service.demo.sample", "lnc_service.validate.messages", "lnc_service.validate.external"],
    ["lnc_service.rules.rule", "lnc_service.rules.facts", "lnc_service.rules.decide"],
    ["lnc_service.rules.book", "lnc_service.rules.apply"],
    [
        "lnc_service.receiver.association_guard",
        "lnc_service.manifest",
        "lnc_service.deliver",
        "lnc_service.query",
        "lnc_service.commitment.answers",
        "lnc_service.validate.main",
    ],
    ["lnc_service.commitment.ask", "lnc_service.receiver.notices", "lnc_service.rules.verdict"],
    ["lnc_service.receiver.storage_scp"],
    ["lnc_service.receiver.receive", "lnc_service.compute", "lnc_service.watch", "lnc_service.engine"],
    ["lnc_service.proof"],
    ["lnc_service.workflow"],
    ["lnc_service.rules.rehearse", "lnc_service.installation.connection"],
    ["lnc_service.rules.command", "lnc_service.installation.checks"],
    ["lnc_service.jobs"],
    ["lnc_service.retention"],
    ["lnc_service.app"],
    ["lnc_service.demo.main"],
    ["lnc_service.installation.command"],
    ["lnc_service.cli"],
]
CORE = {"anatomy", "codes", "encode", "errors", "geometry", "maps", "measure", "options", "outputs", "pipeline"}
CORE |= {"predictions", "provenance", "quantities", "report", "study", "tools", "types", "uids", "validate"}


def _module(path):
    """Give the name under which a file is imported; the folder `service` is the package `lnc_service`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = (parts[0].replace("service", "lnc_service"), *parts[1:])
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rank(module):
    for rank, line in enumerate(ORDER):
        if any(module == name or module.startswith(f"{name}.") for name in line):
            return rank
    return None


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_imports_point_upstream_only(path):
    here = _rank(_module(path))
    if here is None:
        assert _module(path) in {"lnc_dicom", *SERVICE_PACKAGES}, f"{path} has no place in the order"
        return
    for name in _imports(path):
        there = _rank(name)
        assert there is None or there <= here, f"{_module(path)} imports {name}"


@pytest.mark.parametrize("path", [p for p in SOURCES if "lnc_dicom" in p.parts], ids=_module)
def test_the_library_never_imports_the_service_or_a_socket(path):
    forbidden = {"lnc_service", "socket", "pynetdicom", "dbos", "requests", "threading"}
    assert not {name.split(".")[0] for name in _imports(path)} & forbidden


@pytest.mark.parametrize(
    "path",
    [p for p in SOURCES if _module(p).startswith("lnc_dicom.") and _module(p).split(".")[1] in CORE],
    ids=_module,
)
def test_the_core_has_no_clock_no_environment_and_no_chance(path):
    text = path.read_text()
    assert not {name.split(".")[0] for name in _imports(path)} & {"time", "os", "random", "secrets"}
    for call in ("datetime.now(", "np.random", "torch.rand", "uuid4", "generate_uid", "Path.cwd"):
        assert call not in text, f"{path.name} calls {call}"


ONLY_FOR_TRAINING = ("segment.train", "segment.synthesis", "segment.evaluate", "biomarker.train")
ONLY_FOR_TRAINING += ("biomarker.evaluation", "simulate")
INFERENCE = ("segment", "biomarker", "pipeline", "encode", "study", "maps", "measure", "report")
IMPORTED = {_module(path): set(_imports(path)) for path in SOURCES}
NOT_YET: set[str] = set()
"""Modules that still import training; the set must shrink to none."""


def _is_in(module, packages):
    return any(module == f"lnc_dicom.{p}" or module.startswith(f"lnc_dicom.{p}.") for p in packages)


def _chain_to_training(module, seen):
    """Give the modules by which one imports training, directly or through others; empty where it does not."""
    for name in sorted(IMPORTED[module] & IMPORTED.keys()):
        if _is_in(name, ONLY_FOR_TRAINING):
            return [module, name]
        if name not in seen:
            seen.add(name)
            chain = _chain_to_training(name, seen)
            if chain:
                return [module, *chain]
    return []


def test_inference_never_imports_training():
    wanted = [m for m in IMPORTED if _is_in(m, INFERENCE) and not _is_in(m, ONLY_FOR_TRAINING)]
    chains = {m: " > ".join(chain) for m in wanted if (chain := _chain_to_training(m, {m}))}
    assert chains.keys() == NOT_YET, chains


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_functions_fit_in_the_head(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 45, f"{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())) or not path.read_text().strip()


UNIT = ROOT / "tests" / "unit"
MODULES = [p for p in SOURCES if p.name != "__init__.py" and p.read_text().strip()]


def _mirror(path):
    return UNIT / path.relative_to(ROOT).parent / f"test_{path.name}"


@pytest.mark.parametrize("path", MODULES, ids=_module)
def test_every_module_has_a_test_of_its_own(path):
    assert _mirror(path).exists(), f"{path.relative_to(ROOT)} has no {_mirror(path).relative_to(ROOT)}"


def test_every_test_mirrors_a_module():
    mirrors = {_mirror(path) for path in SOURCES}
    assert [str(p.relative_to(UNIT)) for p in sorted(UNIT.glob("**/test_*.py")) if p not in mirrors] == []


def test_few_modules_lie_at_the_top():
    top = [p.name for p in (ROOT / "lnc_dicom").glob("*.py") if p.name != "__init__.py"]
    assert len(top) <= MOST_AT_THE_TOP, top


def test_the_wheel_holds_every_package():
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {_module(p) for p in SOURCES if p.name == "__init__.py"}
    assert set(packages) == found
