import pytest

from lnc_dicom.errors import BadAccounts
from lnc_service.web import accounts
from lnc_service.web.accounts import Accounts

PASSWORD = "correct horse"  # noqa: S105 - of a test


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_only_the_right_password_lets_in_and_says_who_may_act(tmp_path):
    found = Accounts(tmp_path / "accounts.toml")
    found.put("ana", PASSWORD, operator=True)
    found.put("ben.b", PASSWORD + "2", operator=False)
    assert found.operator("ana", PASSWORD) is True
    assert found.operator("ben.b", PASSWORD + "2") is False
    assert found.operator("ben.b", PASSWORD) is None
    assert found.operator("nobody", PASSWORD) is None
    assert found.names() == ["ana", "ben.b"]


def test_the_file_holds_no_password_and_nobody_else_reads_it(tmp_path):
    found = Accounts(tmp_path / "accounts.toml")
    found.put("ana", PASSWORD, operator=True)
    assert PASSWORD not in found.path.read_text()
    assert found.path.stat().st_mode & 0o077 == 0


def test_an_account_that_was_removed_lets_nobody_in(tmp_path):
    found = Accounts(tmp_path / "accounts.toml")
    found.put("ana", PASSWORD, operator=True)
    found.remove("ana")
    assert found.operator("ana", PASSWORD) is None
    with pytest.raises(BadAccounts):
        found.remove("ana")


@pytest.mark.parametrize(("name", "password"), [("", PASSWORD), ('a"]\n["b', PASSWORD), ("ana", "short")])
def test_odd_names_and_short_passwords_are_refused(tmp_path, name, password):
    with pytest.raises(BadAccounts):
        Accounts(tmp_path / "accounts.toml").put(name, password, operator=False)


def test_a_file_that_cannot_be_read_lets_nobody_in(tmp_path):
    (tmp_path / "accounts.toml").write_text("ana = 1")
    with pytest.raises(BadAccounts):
        Accounts(tmp_path / "accounts.toml").operator("ana", PASSWORD)
