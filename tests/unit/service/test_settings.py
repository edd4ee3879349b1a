import pytest

from lnc_dicom.errors import BadSettings
from lnc_dicom.outputs import DEFAULT_OUTPUTS, Output
from lnc_service.settings import Retry, Settings, load_settings

GOOD = 'spool = "s"\n[pacs]\nhost = "pacs.example"\nae_title = "PACS"\n'


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        path = tmp_path / "site.toml"
        path.write_text(text)
        return path

    return write


def test_defaults_fill_what_the_file_does_not_say(toml):
    settings = load_settings(toml(GOOD))
    assert settings.listen.port == 11112
    assert settings.pacs.port == 104
    assert settings.workflow_database_url.startswith("sqlite:///")


def test_a_file_that_was_read_leaves_nothing_behind(toml):
    load_settings(toml(GOOD + "[listen]\nport = 4242\n"))
    assert Settings(pacs={"host": "x", "ae_title": "PACS"}).listen.port == 11112


def test_the_environment_wins_over_the_file(toml, monkeypatch):
    monkeypatch.setenv("LNC_LISTEN__PORT", "4242")
    assert load_settings(toml(GOOD)).listen.port == 4242


def test_lnc_toml_in_the_working_directory_is_read(toml, tmp_path):
    (tmp_path / "lnc.toml").write_text(GOOD)
    assert load_settings().pacs.host == "pacs.example"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "pacs: Field required"),
        (GOOD + "colour = 'blue'\n", "pacs.colour: Extra inputs"),
        ("colour = 'blue'\n" + GOOD, "colour: Extra inputs"),
        (GOOD + "port = 99999\n", "pacs.port: Input should be less than"),
        (GOOD.replace('"PACS"', '"A NAME THAT IS TOO LONG"'), "pacs.ae_title: String should have at most 16"),
        ("= nonsense", "not TOML"),
    ],
)
def test_what_is_wrong_is_named(toml, text, complaint):
    with pytest.raises(BadSettings, match=complaint):
        load_settings(toml(text))


def test_values_are_never_quoted(toml):
    with pytest.raises(BadSettings) as error:
        load_settings(toml(GOOD.replace("[pacs]", "[pacs]\nport = 'SECRET'")))
    assert "SECRET" not in str(error.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadSettings, match="there is no file"):
        load_settings(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["LNC_COLOUR", "LNC_LISTEN__PROT"])
def test_an_unknown_variable_is_refused(toml, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(BadSettings):
        load_settings(toml(GOOD))


def test_settings_are_frozen(toml):
    with pytest.raises(ValueError, match="frozen"):
        load_settings(toml(GOOD)).listen.port = 1


OTHERS = (
    GOOD
    + """[[others]]
host = "archive.example"
ae_title = "ARCHIVE"
objects = ["labelmap", "seg"]
[[others]]
host = "records.example"
ae_title = "RECORDS"
objects = ["pdf"]
"""
)


def _made(settings, *, demonstration=False):
    return settings.options(demonstration=demonstration).objects


def test_every_destination_gets_the_default_unless_it_chooses(toml):
    settings = load_settings(toml(OTHERS))
    assert [d.ae_title for d in settings.destinations] == ["PACS", "ARCHIVE", "RECORDS"]
    chosen = [settings.objects_of(d, demonstration=False) for d in settings.destinations]
    assert chosen == [DEFAULT_OUTPUTS, (Output.LABELMAP, Output.SEG), (Output.PDF,)]


def test_what_is_made_is_the_union_of_what_the_destinations_get(toml):
    assert _made(load_settings(toml(GOOD))) == DEFAULT_OUTPUTS
    assert _made(load_settings(toml(OTHERS))) == (*DEFAULT_OUTPUTS, Output.LABELMAP, Output.PDF)
    only = load_settings(toml(GOOD + 'objects = ["text"]\n'))
    assert _made(only) == (Output.TEXT,)


MEASURED = (Output.SEG, Output.SR, Output.SUMMARY)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (GOOD, MEASURED),
        (GOOD + 'objects = ["sr", "biomarker"]\n', (Output.SR, Output.BIOMARKER)),
        ('objects = ["sr", "biomarker"]\n' + GOOD, (Output.SR, Output.BIOMARKER)),
    ],
)
def test_predictions_of_a_demonstration_model_go_only_to_those_who_ask(toml, text, kinds):
    settings = load_settings(toml(text))
    assert settings.objects_of(settings.pacs, demonstration=True) == kinds
    assert _made(settings, demonstration=True) == kinds


def test_fhir_is_made_where_the_site_asks_for_it_though_nobody_gets_it_by_dicom(toml):
    settings = load_settings(toml('objects = ["seg", "fhir"]\n' + GOOD + 'objects = ["sr"]\n'))
    assert _made(settings) == (Output.SR, Output.FHIR)


def test_an_unknown_kind_is_refused(toml):
    with pytest.raises(BadSettings, match=r"pacs\.objects"):
        load_settings(toml(GOOD + 'objects = ["CANARY"]\n'))


def test_a_destination_is_found_by_its_name_wherever_it_stands_in_the_file(toml):
    settings = load_settings(toml(OTHERS.replace('ae_title = "PACS"', 'ae_title = "PACS"\nname = "main"')))
    assert settings.destination("main").host == "pacs.example"
    assert settings.destination("RECORDS").host == "records.example"
    assert settings.destination("PACS") is None


def test_two_destinations_of_the_same_name_are_refused(toml):
    with pytest.raises(BadSettings, match="same name"):
        load_settings(toml(OTHERS.replace("ARCHIVE", "PACS")))


def test_waits_grow_to_the_longest_and_outlast_days():
    retry = Retry(first_wait_s=5, backoff=2, longest_wait_s=60)
    assert [retry.wait_s(n) for n in (1, 2, 3, 4, 5)] == pytest.approx([5, 10, 20, 40, 60])
    assert retry.wait_s(100_000) == 60
    assert Retry().give_up_after_h >= 72
