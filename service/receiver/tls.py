"""TLS of the receiver by BCP 195 (PS3.15 B.9): TLS 1.2 and 1.3, forward secrecy, authenticated encryption."""

from __future__ import annotations

import ssl

from lnc_dicom.errors import BadSettings
from lnc_service.settings import Listen

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def tls_context(listen: Listen) -> ssl.SSLContext | None:
    """Make the context that the settings ask for; None where there is no certificate. Raises BadSettings."""
    if listen.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)
    try:
        context.load_cert_chain(listen.tls_certificate, listen.tls_key)
        if listen.tls_client_authority is not None:
            context.load_verify_locations(listen.tls_client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # of which SSLError is one
        raise BadSettings("listen: certificate, key or authority of TLS cannot be read") from error
    return context
