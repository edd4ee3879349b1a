import json
import re
from dataclasses import replace

import pytest

from lnc_dicom.biomarker.evaluation.report import (
    DEMONSTRATION_NOTE,
    FILES,
    RESEARCH,
    SIMULATED,
    banners,
    report_json,
    write_report,
)
from lnc_dicom.biomarker.evaluation.tables import console_rows, tables_of


@pytest.fixture(scope="module")
def page(effect, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, effect)
    return folder


def test_all_files_are_written_and_the_page_is_self_contained(page):
    assert sorted(p.name for p in page.iterdir()) == sorted(FILES)
    text = (page / "report.html").read_text()
    assert text.count("data:image/png;base64,iVBOR") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert (page / "features.png").read_bytes().startswith(b"\x89PNG")


def test_no_patient_is_named(page):
    for name in ("report.html", "report.json"):
        assert "CANARY" not in (page / name).read_text()


def test_the_notes_stand_above_every_number(page, effect):
    text = (page / "report.html").read_text()
    places = [text.index(t) for t in (RESEARCH, DEMONSTRATION_NOTE, SIMULATED, "No leakage alarm", "<table>")]
    assert places == sorted(places)
    other = replace(effect, options=replace(effect.options, simulated=False, demonstration=False))
    assert banners(other) == [RESEARCH]


def test_alarms_stand_above_every_table(confounded, tmp_path):
    alarmed = replace(confounded, alarms=("Leakage alarm: <b>test</b>",))
    write_report(tmp_path, alarmed)
    text = (tmp_path / "report.html").read_text()
    assert text.index("&lt;b&gt;test") < text.index("explained by age") < text.index("<table>")
    assert "No leakage alarm" not in text


def test_every_number_is_in_the_json(page, effect):
    found = json.loads((page / "report.json").read_text())
    assert found == report_json(effect)
    target = next(t for t in found["targets"] if t["name"] == "disease")
    value, low, high = target["scores"]["model"]["macro_auc"]
    assert 0.5 < low < value < high <= 1
    assert set(target["differences"]) >= {"model - mean", "model - age + sex", "model + age + sex - age + sex"}
    assert len(target["share_of_oracle_gain"]) == 4
    assert sum(map(sum, found["confusion"]["disease"]["model"])) == 79
    assert found["permutations"]["disease"]["count"] == 12
    assert found["notes"][0] == RESEARCH


def test_every_table_has_an_interpretation(effect):
    tables = tables_of(effect)
    assert len(tables) == 10
    for table in tables:
        assert table.meaning.endswith(".")
        assert {len(row) for row in table.rows} == {len(table.headings)}, table.title


def test_the_console_shows_the_table_of_the_paper_with_baselines(effect):
    said = []
    headings, *rows = console_rows(effect, said.append)
    assert said == list(effect.findings)
    assert headings[2:] == ("mean", "age + sex", "volumetry + age + sex", "model", "model + age + sex", "oracle")
    assert [line[0] for line in rows][-2:] == ["LSA stems", "disease"]
