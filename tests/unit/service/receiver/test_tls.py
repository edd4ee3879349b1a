import contextlib
import socket
import ssl
import subprocess

import pytest

from lnc_dicom.errors import BadSettings
from lnc_service.receiver.tls import tls_context
from lnc_service.settings import Listen
from tests.raw_scu import Association
from tests.receiving import lets_in, objects_in, receiving, sample


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and a server and a client whose certificates it signed."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl("req", "-x509", *new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        openssl("req", *new[:-2], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")
    return folder


def _tls(port, certificates, client=None, version=None, ciphers=None):
    """Open an association over TLS; the version that was agreed."""
    context = ssl.create_default_context(cafile=certificates / "ca.pem")
    context.check_hostname = False
    if client:
        context.load_cert_chain(certificates / f"{client}.pem", certificates / f"{client}.key")
    if ciphers:
        context.set_ciphers(ciphers)
    if version:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
    association = Association(port, timeout_s=5.0)
    with contextlib.closing(association.sock) as bare:
        association.sock = context.wrap_socket(bare)
        with contextlib.closing(association.sock):
            association.open()
            assert association.store(sample()) == 0
            agreed = association.sock.version()
            association.release()
            return agreed


def test_objects_arrive_over_tls_and_a_sender_who_is_slow_to_shake_hands_blocks_nobody(tmp_path, certificates):
    settings = {"tls_certificate": certificates / "server.pem", "tls_key": certificates / "server.key"}
    with receiving(tmp_path, **settings) as (port, spool), socket.create_connection(("127.0.0.1", port)):
        assert _tls(port, certificates) == "TLSv1.3"
        assert _tls(port, certificates, version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
        assert len(objects_in(spool)) == 2
        with pytest.raises(ssl.SSLError):
            _tls(port, certificates, version=ssl.TLSVersion.TLSv1_1)
        with pytest.raises(ssl.SSLError):
            _tls(port, certificates, version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES256-SHA")
        assert lets_in(port) is None  # without TLS


def test_where_an_authority_is_set_senders_need_a_certificate_of_its(tmp_path, certificates):
    settings = {name: certificates / f"server.{end}" for name, end in (("tls_certificate", "pem"), ("tls_key", "key"))}
    settings["tls_client_authority"] = certificates / "ca.pem"
    with receiving(tmp_path, **settings) as (port, _):
        with pytest.raises(OSError):  # noqa: PT011 - an alert or a closed connection
            _tls(port, certificates)
        assert _tls(port, certificates, "client") == "TLSv1.3"


def test_without_a_certificate_no_tls_is_spoken():
    assert tls_context(Listen()) is None


def test_a_certificate_that_cannot_be_used_is_a_fault_of_the_settings_and_not_quoted(tmp_path, certificates):
    broken = tmp_path / "CANARY.pem"
    broken.write_text("no certificate")
    for path in (broken, tmp_path / "CANARY-none.pem"):
        with pytest.raises(BadSettings) as error:
            tls_context(Listen(tls_certificate=path))
        assert "CANARY" not in str(error.value)
