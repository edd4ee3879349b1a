"""The conformance statement says what the code does."""

import pytest

from conformance import generate, inputs


def test_the_statement_is_what_the_code_says():
    text = generate.STATEMENT.read_text(encoding="utf-8")
    assert generate.render(text) == text, "the code has changed: run `make statement`"


def test_the_page_of_inputs_is_what_the_tests_say():
    text = inputs.PAGE.read_text(encoding="utf-8")
    assert inputs.render(text) == text, "the tests have changed: run `make statement`"
    assert {"Siemens VE", "Philips", "GE"} <= {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines()}


def test_a_table_without_a_marker_is_noticed():
    with pytest.raises(ValueError, match="not enough values"):
        generate.render("no marker at all")


@pytest.mark.parametrize("name", ["transfer syntaxes", "configuration", "local codes"])
def test_a_changed_table_is_put_right(name):
    text = generate.STATEMENT.read_text(encoding="utf-8")
    begin = f"<!-- generated: {name} -->"
    assert generate.render(text.replace(begin, f"{begin}\nwrong")) == text
