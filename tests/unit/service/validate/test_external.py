import sys
from pathlib import Path

import pytest

from lnc_service.validate import external
from lnc_service.validate.external import Program, ask, find_program


def _script(tmp_path, text):
    """Give a program that the interpreter runs."""
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\nimport sys, os\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_only_lines_that_count_are_given_from_both_channels(tmp_path):
    path = _script(tmp_path, "print('Error one'); print('chatter'); print('Warning two', file=sys.stderr)")
    assert sorted(ask(Program("p", ("FILE",), r"^(Error|Warning)"), path, [])) == ["Error one", "Warning two"]


def test_a_program_gets_whole_paths_its_standard_and_a_folder_that_is_thrown_away(tmp_path):
    path = _script(tmp_path, "print('> ' + ' '.join(sys.argv[1:]))")
    program = Program("p", ("--in", "FILE", "--to", "FOLDER/x", "--standard", "STANDARD"), "^>")
    files = [tmp_path / "a.dcm", tmp_path / "b.dcm"]
    (line,) = ask(program, path, files, tmp_path / "edition")
    words = line.split()
    assert words[1:5] == ["--in", str(files[0]), str(files[1]), "--to"]
    assert words[-1] == str(tmp_path / "edition")
    assert not Path(words[5]).parent.exists()


@pytest.mark.parametrize(("fails", "said"), [(True, ["exit status 3"]), (False, [])])
def test_an_exit_status_counts_where_it_means_something(tmp_path, fails, said):
    path = _script(tmp_path, "sys.exit(3)")
    assert ask(Program("p", (), "^Error", fails=fails), path, []) == said


def test_a_program_that_never_answers_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(external, "_LIMIT_S", 0.5)
    path = _script(tmp_path, "import time; time.sleep(60)")
    assert ask(Program("p", (), "."), path, []) == ["no answer within 0.5 s"]


def test_a_program_gets_the_environment_that_it_needs(tmp_path):
    path = _script(tmp_path, "print('> ' + os.environ['NEEDED'])")
    assert ask(Program("p", (), "^>", environment={"NEEDED": "this"}), path, []) == ["> this"]


def test_a_program_that_is_not_installed_is_not_found():
    assert find_program("no-such-program") is None
    assert find_program(Path(sys.executable).name)
