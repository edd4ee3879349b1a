import pytest

from lnc_dicom.errors import BadSettings
from lnc_dicom.options import SERVICE_SECTIONS, Options, choose_objects, load_options
from lnc_dicom.outputs import DEFAULT_OUTPUTS, Output
from lnc_service.settings import Settings


def _file(tmp_path, text):
    file = tmp_path / "lnc.toml"
    file.write_text(text)
    return file


def test_without_a_file_the_defaults_are_in_force():
    assert load_options(None) == Options()


def test_the_sections_of_the_library_are_read_and_those_of_the_service_pass(tmp_path):
    options = load_options(_file(tmp_path, '[perfusion]\npost_label_delay_ms = 1800\n[pacs]\nhost = "x"\n'))
    assert options.perfusion.post_label_delay_ms == 1800
    assert options.diffusion == Options().diffusion


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[perfsion]\nblood_t1_ms = 1650\n", "perfsion"),
        ("[perfusion]\nblood_t1 = 1650\n", "perfusion.blood_t1"),
        ("[perfusion]\nblood_t1_ms = -1\n", "perfusion.blood_t1_ms"),
        ("[perfusion\n", "not TOML"),
    ],
)
def test_what_is_misspelt_or_impossible_is_refused_by_name(tmp_path, text, named):
    with pytest.raises(BadSettings, match=named):
        load_options(_file(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadSettings):
        load_options(tmp_path / "lnc.toml")


def test_service_and_library_divide_the_file_between_them():
    assert set(Settings.model_fields) == SERVICE_SECTIONS | set(Options.model_fields)


def test_the_settings_of_the_service_hand_the_librarys_sections_on():
    settings = Settings(pacs={"host": "x", "ae_title": "PACS"}, perfusion={"blood_t1_ms": 1600})
    assert settings.options(demonstration=False) == Options(perfusion={"blood_t1_ms": 1600})


def test_kinds_of_objects_are_read_by_name(tmp_path):
    assert Options().objects == DEFAULT_OUTPUTS
    assert load_options(_file(tmp_path, 'objects = ["seg", "pdf"]\n')).objects == (Output.SEG, Output.PDF)


def test_an_unknown_kind_is_refused_without_repeating_it(tmp_path):
    with pytest.raises(BadSettings, match="objects") as error:
        load_options(_file(tmp_path, 'objects = ["seg", "CANARY"]\n'))
    assert "CANARY" not in str(error.value)


def test_a_list_of_kinds_wins_over_the_file():
    options = Options(objects=(Output.SEG,))
    assert choose_objects(options, None) == options
    assert choose_objects(options, "sr, text,sr").objects == (Output.SR, Output.TEXT)


@pytest.mark.parametrize("names", ["", " , ", "seg,CANARY"])
def test_a_list_with_an_unknown_kind_is_refused_and_the_known_ones_are_named(names):
    known = "seg, sr, summary, biomarker, saliency, labelmap, map, text, pdf, fhir"
    with pytest.raises(BadSettings, match=known) as error:
        choose_objects(Options(), names)
    assert "CANARY" not in str(error.value)
