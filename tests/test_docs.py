"""Documents say what the code does."""

import inspect
import math
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel
from typer.main import get_command

from lnc_dicom import errors, report
from lnc_dicom.anatomy import STRUCTURES
from lnc_dicom.cli.main import app
from lnc_dicom.codes import STRUCTURE
from lnc_dicom.maps import asl_timing, labelling, regional, vendor_map
from lnc_dicom.measure.gates import GATES, MAP_GATES, REGION_GATES
from lnc_dicom.outputs import FHIR_FILE, FILES_OF, Output
from lnc_dicom.study import read, select_t1, split
from lnc_dicom.study.transfer_syntaxes import TRANSFER_SYNTAXES
from lnc_service import cli as service_cli
from lnc_service.demo.main import DemoFailed
from lnc_service.receiver import receive
from lnc_service.receiver.association_guard import MAXIMUM_PDU_BYTES
from lnc_service.receiver.storage_scp import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS
from lnc_service.settings import Listen, Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("conformance/*.md")]
)


def _rows(document):
    lines = (ROOT / document).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_every_error_is_documented_as_it_is():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.LncError)]
    expected = {c.code: (inspect.getdoc(c).splitlines()[0], c.do) for c in [*classes, DemoFailed, receive.CannotListen]}
    documented = {r[0]: (r[2], r[3]) for r in _rows("docs/reference/errors.md") if len(r) == 4 and r[0][:3] == "LNC"}
    assert documented == expected


def test_every_caveat_is_documented():
    documented = {r[0] for r in _rows("docs/reference/errors.md") if len(r) == 2}
    caveats = {report.RESEARCH_ONLY, report.STRUCTURE_FAILED, read.UNREADABLE, regional.FEW_VOXELS, regional.NO_VOXELS}
    caveats |= {asl_timing.ASSUMED, labelling.ORDER_ASSUMED, vendor_map.SCALE_ASSUMED}
    caveats |= {split.LEFT_OUT, split.PART_USED}
    caveats |= {report.REPAIRED, report.OTHER_MODEL_BEFORE}
    caveats |= {select_t1.AFTER_AGENT, select_t1.DERIVED_USED, select_t1.PREFERRED_FAILED}
    caveats |= {gate.code for gate in REGION_GATES}
    assert documented >= caveats


def test_every_gate_is_documented_with_its_limits():
    documented = [r[:5] for r in _rows("docs/reference/quality.md") if len(r) == 6 and r[0][:3] == "LNC"]
    assert documented == [
        [g.code, g.name, _limit(g.low), _limit(g.high), g.refusal.code if g.refusal else what]
        for gates, what in (((*GATES, *MAP_GATES), "the structure"), (REGION_GATES, "the number"))
        for g in gates
    ]


def _limit(value):
    return "none" if math.isinf(value) else f"{value:g}"


def _settings(model, prefix=""):
    for name, field in model.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from _settings(kind, f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}`", "required" if field.is_required() else _shown(field.default)


def _shown(default):
    """A default as it is written in the documents; lists as names with commas."""
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def test_every_setting_is_documented_with_its_default():
    documented = {r[0]: r[1].strip("`") for r in _rows("docs/reference/configuration.md") if r[0].startswith("`")}
    assert documented == dict(_settings(Settings))


def test_every_kind_of_object_is_documented_with_its_files():
    documented = {r[0].strip("`"): r[1] for r in _rows("docs/reference/objects.md") if r[0].strip("`") in set(Output)}
    expected = {kind.value: ", ".join(f"`{file}`" for file in FILES_OF.get(kind, (FHIR_FILE,))) for kind in Output}
    assert documented == expected


def test_every_structure_is_documented():
    documented = [r[:4] for r in _rows("docs/reference/objects.md") if r[0].isdigit()]
    assert documented == [[str(s.label), s.name, s.side.value, STRUCTURE[s.name].value] for s in STRUCTURES]


@pytest.mark.parametrize("document", ["docs/reference/configuration.md", "docs/how-to/connect-a-pacs.md"])
def test_the_example_settings_load(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / document).read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = tmp_path / "lnc.toml"
    file.write_text(inspect.cleandoc(example))
    assert tomllib.loads(file.read_text())
    assert load_settings(file).pacs.ae_title == "PACS"


def test_the_conformance_statement_lists_what_is_accepted_and_sent():
    rows = _rows("conformance/statement.md")
    syntaxes = [r[1] for r in rows if len(r) == 3 and r[1].startswith("1.2.840.10008.1.2")]
    assert syntaxes == [str(uid) for uid in (*TRANSFER_SYNTAXES, *receive.REFUSED_LATER)]
    statuses = {r[0] for r in rows if len(r) == 2 and re.fullmatch("[0-9A-F]{4}", r[0])}
    assert statuses == {f"{s:04X}" for s in (SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND)}
    text = (ROOT / "conformance/statement.md").read_text()
    assert f"maximum PDU {MAXIMUM_PDU_BYTES} bytes" in text
    assert f"At most {Listen().associations}\nassociations" in text


def _commands():
    assert service_cli.main
    commands = {}
    for name, command in get_command(app).commands.items():
        commands[name] = set(getattr(command, "commands", {}))
    return commands


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_command_in_the_documents_exists(document):
    commands = _commands()
    for line in re.findall(r"\blnc ([a-z]+(?: [a-z]+)?)", document.read_text()):
        name, _, sub = line.partition(" ")
        assert name in commands, f"lnc {line}"
        assert not commands[name] or not sub or sub in commands[name], f"lnc {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_test_that_holds_a_promise_exists():
    tests = "\n".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", (ROOT / "docs/explanation/architecture.md").read_text()):
        assert f"def {name}(" in tests


def test_the_readme_names_the_two_commands_and_ci_calls_one():
    assert "make demo" in (ROOT / "README.md").read_text()
    assert "make test" in (ROOT / ".ci" / "run").read_text()
