import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from lnc_service.installation import checks
from lnc_service.installation.checks import (
    Status,
    certificates_of,
    check_certificate,
    check_clock,
    check_database,
    check_destinations,
    check_disk,
    check_rules,
    check_skew,
)
from lnc_service.installation.connection import Connection
from lnc_service.settings import Settings

PACS = {"host": "x", "ae_title": "PACS"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """One that is valid for 60 days."""
    path = tmp_path_factory.mktemp("certificate") / "server.pem"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "60", "-subj", "/CN=x"]
    subprocess.run(
        ["openssl", "req", "-x509", *new, "-keyout", "/dev/null", "-out", path], check=True, capture_output=True
    )
    return path


@pytest.mark.parametrize(
    ("days", "status"), [(0, Status.GOOD), (40, Status.WARNING), (61, Status.WRONG), (-2, Status.WRONG)]
)
def test_a_certificate_is_wrong_outside_its_dates_and_doubtful_in_its_last_month(certificate, days, status):
    assert check_certificate(certificate, datetime.now(UTC) + timedelta(days=days)).status is status


def test_a_certificate_that_cannot_be_read_is_wrong(tmp_path):
    (tmp_path / "x.pem").write_text("nothing")
    for name in ("x.pem", "none.pem"):
        assert check_certificate(tmp_path / name, datetime.now(UTC)).status is Status.WRONG


def test_every_certificate_of_the_settings_is_looked_at():
    listen = {"tls_certificate": "a.pem", "tls_client_authority": "b.pem"}
    settings = Settings(pacs=PACS, listen=listen)
    assert [p.name for p in certificates_of(settings)] == ["a.pem", "b.pem"]


def test_a_spool_without_room_is_wrong_also_before_it_is_made(tmp_path):
    def status(**listen):
        return check_disk(Settings(spool=tmp_path / "later" / "spool", pacs=PACS, listen=listen)).status

    assert status(free_disk_mb=1) is Status.GOOD
    assert status(free_disk_mb=10**9) is Status.WRONG


def test_the_clock_of_the_spool_is_compared_with_ours(tmp_path, monkeypatch):
    assert check_skew(tmp_path).status is Status.GOOD
    assert list(tmp_path.iterdir()) == []
    assert check_skew(tmp_path / "none") is None
    now = checks.time.time()
    monkeypatch.setattr(checks.time, "time", lambda: now - 60)
    assert check_skew(tmp_path).status is Status.WRONG


def test_the_kernel_is_asked_whether_the_clock_is_kept_right():
    assert check_clock().status in {Status.GOOD, Status.WARNING}


def test_a_database_that_does_not_answer_is_wrong(tmp_path):
    assert check_database(Settings(spool=tmp_path, pacs=PACS)).status is Status.GOOD
    settings = Settings(spool=tmp_path, pacs=PACS, database_url="postgresql://127.0.0.1:1/lnc")
    assert check_database(settings).status is Status.WRONG


def test_rules_that_cannot_be_used_are_wrong(tmp_path):
    assert "none" in check_rules(Settings(spool=tmp_path, pacs=PACS)).what
    settings = Settings(spool=tmp_path, pacs=PACS, rules=tmp_path / "rules.toml")
    assert check_rules(settings).status is Status.WRONG
    settings.rules.write_text('[[rule]]\nname = "a"\n')
    assert check_rules(settings).what == "1 rules"
    settings.rules.write_text("nonsense")
    assert check_rules(settings).status is Status.WRONG


def test_every_destination_is_asked(monkeypatch, tmp_path):
    answers = {"PACS": Connection(3.0), "OTHER": Connection(None, "no association")}
    monkeypatch.setattr(checks, "connect", lambda pacs, *_: answers[pacs.ae_title])
    settings = Settings(spool=tmp_path, pacs=PACS, others=[{"host": "y", "ae_title": "OTHER"}])
    assert [(c.name, c.status) for c in check_destinations(settings)] == [
        ("destination PACS", Status.GOOD),
        ("destination OTHER", Status.WRONG),
    ]
